//! The tokens of arithmetic in words.

/// A piece of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Number(String),
    /// Something to look up.
    Noun(String),
    /// An operator that can mean something else: "times", "over", "-", "/".
    Operator(&'static str),
    /// An operator that means nothing else: "plus", "divided by", "% of".
    Plain(&'static str),
    /// "squared".
    Postfix(&'static str),
    /// "twice": a factor.
    Prefix(&'static str),
    /// "square root of".
    Function(&'static str),
    /// "the sum of": an operator between the members of a list.
    Of(&'static str),
    And,
    Open,
    Close,
}

/// An expression has at most this many words.
const WORDS_MAX: usize = 80;
/// Something to look up has at most this many words.
const NOUN_WORDS_MAX: usize = 12;

/// The tokens of a question; `None` when it holds something that no expression has.
pub(super) fn tokens(question: &str) -> Option<Vec<Token>> {
    let words = spaced(bare(question));
    if words.len() > WORDS_MAX {
        return None;
    }
    let mut tokens = Vec::new();
    let mut noun: Vec<&str> = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let rest: Vec<String> =
            words[at..].iter().take(5).map(|word| word.to_lowercase()).collect();
        // "of the" inside a noun phrase is not an operator, so phrases are read longest first.
        match phrase(&rest, !noun.is_empty()) {
            Some((token, n_words)) => {
                close(&mut noun, &mut tokens)?;
                tokens.push(token);
                at += n_words;
            }
            None => {
                noun.push(&words[at]);
                at += 1;
            }
        }
    }
    close(&mut noun, &mut tokens)?;
    Some(tokens)
}

/// Ends a noun phrase. One that cannot be looked up makes the question something else.
fn close(noun: &mut Vec<&str>, tokens: &mut Vec<Token>) -> Option<()> {
    if noun.is_empty() {
        return Some(());
    }
    let has_word = noun.iter().any(|word| word.len() > 2 && word.starts_with(char::is_alphabetic));
    let names_one = matches!(
        noun[0].to_lowercase().as_str(),
        "the" | "a" | "an" | "its" | "our" | "default" | "maximum" | "minimum"
    );
    let is_name = noun[0].starts_with(char::is_uppercase) || noun[0].starts_with('`');
    if !has_word || noun.len() > NOUN_WORDS_MAX || !(names_one && noun.len() > 1 || is_name) {
        return None;
    }
    tokens.push(Token::Noun(noun.join(" ")));
    noun.clear();
    Some(())
}

/// The question without what leads to the expression and what follows it.
fn bare(question: &str) -> &str {
    let mut text = question.trim().trim_end_matches(['?', '.', '!', '=', ' ']);
    let leads = [
        "please ",
        "can you ",
        "could you ",
        "tell me ",
        "what is ",
        "what's ",
        "whats ",
        "what are ",
        "how much is ",
        "how much are ",
        "how many is ",
        "how many are ",
        "calculate ",
        "compute ",
        "evaluate ",
        "work out ",
        "what does ",
        "solve ",
        "give me ",
        "find ",
        "the value of ",
        "the result of ",
        "and ",
    ];
    for _ in 0..leads.len() {
        let found = leads.iter().find(|lead| {
            text.get(..lead.len()).is_some_and(|head| head.eq_ignore_ascii_case(lead))
        });
        let Some(lead) = found else { break };
        text = text[lead.len()..].trim_start();
    }
    for end in [" equal", " equals", " make", " come to"] {
        text = text.strip_suffix(end).unwrap_or(text);
    }
    text.trim()
}

/// Words with numbers, operators and parentheses set apart.
fn spaced(text: &str) -> Vec<String> {
    let mut spaced = String::with_capacity(text.len() + 16);
    let chars: Vec<char> = text.chars().collect();
    for (i, &char) in chars.iter().enumerate() {
        let before = i.checked_sub(1).map_or(' ', |i| chars[i]);
        let after = chars.get(i + 1).copied().unwrap_or(' ');
        let is_edge = |char: char| char.is_ascii_digit() || matches!(char, ' ' | '(' | ')' | '.');
        let alone = match char {
            '(' | ')' | '×' | '÷' | '^' | '%' | '−' => true,
            '+' | '*' | '/' | '-' => {
                is_edge(before) && is_edge(after) && (before != '.' || after == ' ')
                    || before == '*' && char == '*'
                    || after == '*' && char == '*'
            }
            ',' => after == ' ',
            _ => false,
        };
        if alone {
            spaced.extend([' ', char, ' ']);
        } else {
            spaced.push(char);
        }
    }
    spaced.split_whitespace().map(str::to_owned).collect()
}

/// The token that these words begin with, and how many of them it takes.
fn phrase(words: &[String], in_noun: bool) -> Option<(Token, usize)> {
    use Token::{And, Close, Function, Number, Of, Open, Operator, Plain, Postfix, Prefix};
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let found = match words[..] {
        ["the", "square", "root", "of", ..] => (Function("sqrt"), 4),
        ["square", "root", "of", ..] => (Function("sqrt"), 3),
        ["the", "sum", "of", ..] => (Of("+"), 3),
        ["sum", "of", ..] => (Of("+"), 2),
        ["the", "product", "of", ..] => (Of("*"), 3),
        ["product", "of", ..] => (Of("*"), 2),
        ["the", "average" | "mean", "of", ..] => (Of("average"), 3),
        ["average" | "mean", "of", ..] => (Of("average"), 2),
        ["to", "the", "power", "of", ..] => (Plain("^"), 4),
        ["raised", "to", "the", "power", "of"] => (Plain("^"), 5),
        ["raised", "to", ..] => (Plain("^"), 2),
        ["multiplied" | "times", "by", ..] => (Plain("*"), 2),
        ["divided", "by", ..] => (Plain("/"), 2),
        ["%" | "percent", "of", ..] => (Plain("% of"), 2),
        ["per", "cent", "of", ..] => (Plain("% of"), 3),
        ["half", "of", ..] => (Prefix("0.5 *"), 2),
        ["a", "quarter", "of", ..] => (Prefix("0.25 *"), 3),
        ["*", "*", ..] => (Plain("^"), 2),
        ["plus", ..] => (Plain("+"), 1),
        ["minus", ..] => (Plain("-"), 1),
        ["modulo" | "mod", ..] => (Plain("%"), 1),
        ["squared", ..] => (Postfix("^2"), 1),
        ["cubed", ..] => (Postfix("^3"), 1),
        ["twice" | "double", ..] if !in_noun => (Prefix("2 *"), 1),
        ["triple" | "thrice", ..] if !in_noun => (Prefix("3 *"), 1),
        ["half", ..] if !in_noun => (Prefix("0.5 *"), 1),
        ["times" | "x" | "*" | "×" | "·", ..] => (Operator("*"), 1),
        ["over" | "/" | "÷", ..] => (Operator("/"), 1),
        ["+", ..] => (Operator("+"), 1),
        ["-" | "−", ..] => (Operator("-"), 1),
        ["^", ..] => (Operator("^"), 1),
        ["%", ..] => (Operator("%"), 1),
        ["and" | ",", "and", ..] => (And, 2),
        ["and" | ",", ..] => (And, 1),
        ["(", ..] => (Open, 1),
        [")", ..] => (Close, 1),
        [word, ..] => (Number(number(word).filter(|_| !in_noun)?), 1),
        [] => return None,
    };
    Some(found)
}

/// A number in digits or words, as digits.
fn number(word: &str) -> Option<String> {
    let written = [
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
        "eleven", "twelve",
    ];
    if let Some(n) = written.iter().position(|known| *known == word) {
        return Some(n.to_string());
    }
    match word {
        "hundred" => return Some("100".to_owned()),
        "thousand" => return Some("1000".to_owned()),
        "million" => return Some("1000000".to_owned()),
        _ => {}
    }
    let digits = word.replace([',', '_'], "");
    let has_digit = digits.bytes().any(|byte| byte.is_ascii_digit());
    let n_points = digits.matches('.').count();
    let is_number = has_digit
        && n_points <= 1
        && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_number.then_some(digits)
}
