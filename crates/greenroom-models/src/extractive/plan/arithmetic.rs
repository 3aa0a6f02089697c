//! Arithmetic in words, as an expression for the `calculate` tool. Computes nothing.

use super::dates::dates;
use tokens::{Token, tokens};

mod tokens;

/// Arithmetic that was found in a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sum {
    /// The expression; `{0}`, `{1}`, ... stand for what is to be looked up.
    pub(crate) expression: String,
    /// What is to be looked up, as noun phrases.
    pub(crate) lookups: Vec<String>,
}

/// The arithmetic that a question asks for; `None` when it asks for anything else.
///
/// The whole question must read as an expression: numbers, noun phrases and operators in an order
/// that an expression can have, with at least one operation and at least one number or operator that
/// is used for nothing but arithmetic ("plus", "percent of", "twice").
pub(crate) fn spot(question: &str) -> Option<Sum> {
    if !dates(question).is_empty() {
        return None;
    }
    let tokens = tokens(question)?;
    let mut reader =
        Reader { tokens: &tokens, at: 0, lookups: Vec::new(), n_operations: 0, depth: 0 };
    let expression = reader.expression()?;
    let has_number = tokens.iter().any(|token| matches!(token, Token::Number(_)));
    let is_plain = tokens.iter().any(|token| matches!(token, Token::Plain(_) | Token::Prefix(_)));
    let is_sum = reader.at == tokens.len() && reader.n_operations > 0 && (has_number || is_plain);
    is_sum.then_some(Sum { expression, lookups: reader.lookups })
}

/// Reads tokens as `operand (operator operand)*`; precedence is the calculator's business.
struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    lookups: Vec<String>,
    n_operations: usize,
    depth: usize,
}

/// Parentheses and functions nest at most this deep.
const DEPTH_MAX: usize = 32;

impl Reader<'_> {
    fn expression(&mut self) -> Option<String> {
        let mut text = self.operand()?;
        loop {
            let operator = match self.tokens.get(self.at) {
                Some(Token::Operator(operator) | Token::Plain(operator)) => *operator,
                Some(Token::Postfix(power)) => {
                    self.at += 1;
                    self.n_operations += 1;
                    text = format!("{text}{power}");
                    continue;
                }
                _ => return Some(text),
            };
            self.at += 1;
            self.n_operations += 1;
            let next = self.operand()?;
            text = if operator == "% of" {
                format!("{text}% of {next}")
            } else {
                format!("{text} {operator} {next}")
            };
        }
    }

    fn operand(&mut self) -> Option<String> {
        self.depth += 1;
        let token = self.tokens.get(self.at)?.clone();
        self.at += 1;
        let text = match token {
            _ if self.depth > DEPTH_MAX => None,
            Token::Number(number) => Some(number),
            Token::Operator("-") => Some(format!("-{}", self.operand()?)),
            Token::Open => {
                let inner = self.expression()?;
                (self.tokens.get(self.at) == Some(&Token::Close)).then(|| {
                    self.at += 1;
                    format!("({inner})")
                })
            }
            Token::Function(name) => {
                self.n_operations += 1;
                let inner = self.operand()?;
                let is_wrapped = inner.starts_with('(') && inner.ends_with(')');
                Some(if is_wrapped { format!("{name}{inner}") } else { format!("{name}({inner})") })
            }
            Token::Prefix(factor) => {
                self.n_operations += 1;
                Some(format!("{factor} {}", self.operand()?))
            }
            Token::Of(function) => self.list(function),
            Token::Noun(noun) => {
                self.lookups.push(noun);
                Some(format!("{{{}}}", self.lookups.len() - 1))
            }
            Token::Operator(_)
            | Token::Plain(_)
            | Token::Postfix(_)
            | Token::Close
            | Token::And => None,
        };
        self.depth -= 1;
        text
    }

    /// "the sum of 1, 2 and 3".
    fn list(&mut self, operator: &'static str) -> Option<String> {
        let mut members = vec![self.operand()?];
        while self.tokens.get(self.at) == Some(&Token::And) {
            self.at += 1;
            members.push(self.operand()?);
        }
        let n_members = members.len();
        if n_members < 2 {
            return None;
        }
        self.n_operations += 1;
        Some(match operator {
            "average" => format!("(({}) / {n_members})", members.join(" + ")),
            operator => format!("({})", members.join(&format!(" {operator} "))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(question: &str, expect: Option<(&str, &[&str])>) {
        let found = spot(question);
        let found = found.as_ref().map(|sum| {
            (sum.expression.as_str(), sum.lookups.iter().map(String::as_str).collect::<Vec<_>>())
        });
        assert_eq!(
            found,
            expect.map(|(expression, lookups)| (expression, lookups.to_vec())),
            "{question}"
        );
    }

    #[test]
    fn arithmetic_is_spotted() {
        check("what is 12% of 64", Some(("12% of 64", &[])));
        check("What is 12 percent of 64?", Some(("12% of 64", &[])));
        check("17 * (3+4)", Some(("17 * (3 + 4)", &[])));
        check("What is the square root of 2?", Some(("sqrt(2)", &[])));
        check("how much is 2 to the power of 10", Some(("2 ^ 10", &[])));
        check("calculate 1,024 divided by 3.5", Some(("1024 / 3.5", &[])));
        check("What's 7 squared plus three?", Some(("7^2 + 3", &[])));
        check("the sum of 1, 2 and 3", Some(("(1 + 2 + 3)", &[])));
        check("What is the average of 4 and 8?", Some(("((4 + 8) / 2)", &[])));
        check("what is -3 minus 4 =", Some(("-3 - 4", &[])));
    }

    #[test]
    fn what_must_be_looked_up_is_named() {
        let capacity = "the default mailbox capacity";
        check("what is 4 times the default mailbox capacity", Some(("4 * {0}", &[capacity])));
        check("What is 10% of the default mailbox capacity?", Some(("10% of {0}", &[capacity])));
        check("How much is twice the default mailbox capacity?", Some(("2 * {0}", &[capacity])));
        check(
            "What is the retry limit plus the default mailbox capacity?",
            Some(("{0} + {1}", &["the retry limit", capacity])),
        );
    }

    #[test]
    fn other_questions_are_left_alone() {
        for question in [
            "",
            "What is C++?",
            "What is TCP/IP?",
            "What is UTF-8?",
            "How many times was he elected?",
            "What is 64?",
            "What is a slot?",
            "What is 3D printing?",
            "What is 24/7 support?",
            "What does version 1.2.3 change?",
            "What is the sum of human knowledge?",
            "2024-01-01",
            "What is the average age of the players and who is the oldest?",
            "over and over",
            "(((((",
        ] {
            check(question, None);
        }
    }
}
