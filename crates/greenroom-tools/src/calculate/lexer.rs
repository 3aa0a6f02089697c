//! Text into tokens. Decides what a comma is; knows nothing of precedence.

use rust_decimal::Decimal;

use super::fault::{Fault, FaultKind};

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    /// The character where the token starts, counted from 1.
    pub(super) at: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind {
    Number(Decimal),
    /// In lower case.
    Name(String),
    Of,
    Plus,
    Minus,
    Star,
    Slash,
    Percent,
    Caret,
    Open,
    Close,
    Comma,
    End,
}

impl TokenKind {
    /// Whether an operand that is not signed starts here.
    pub(super) fn starts_operand(&self) -> bool {
        matches!(self, Self::Number(_) | Self::Name(_) | Self::Open)
    }

    /// The token as an error shows it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Number(value) => value.to_string(),
            Self::Name(name) => name.clone(),
            Self::Of => "of".into(),
            Self::Plus => "+".into(),
            Self::Minus => "-".into(),
            Self::Star => "*".into(),
            Self::Slash => "/".into(),
            Self::Percent => "%".into(),
            Self::Caret => "^".into(),
            Self::Open => "(".into(),
            Self::Close => ")".into(),
            Self::Comma => ",".into(),
            Self::End => String::new(),
        }
    }
}

/// The tokens of a text, of which the last is `End`.
pub(super) fn tokens(source: &str) -> Result<Vec<Token>, Fault> {
    let mut lexer = Lexer { chars: source.chars().collect(), next: 0, calls: Vec::new() };
    let mut tokens: Vec<Token> = Vec::new();
    loop {
        while lexer.peek(0).is_some_and(char::is_whitespace) {
            lexer.next += 1;
        }
        let at = lexer.next + 1;
        let after_name = tokens.last().is_some_and(|last| matches!(last.kind, TokenKind::Name(_)));
        let kind = lexer.token(after_name)?;
        let is_end = kind == TokenKind::End;
        tokens.push(Token { kind, at });
        if is_end {
            return Ok(tokens);
        }
    }
}

struct Lexer {
    chars: Vec<char>,
    next: usize,
    /// For each open parenthesis, whether it holds the arguments of a function.
    calls: Vec<bool>,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.next + ahead).copied()
    }

    fn is_digit(&self, ahead: usize) -> bool {
        self.peek(ahead).is_some_and(|next| next.is_ascii_digit())
    }

    fn token(&mut self, after_name: bool) -> Result<TokenKind, Fault> {
        let Some(first) = self.peek(0) else { return Ok(TokenKind::End) };
        if first.is_ascii_digit() || (first == '.' && self.is_digit(1)) {
            return self.number();
        }
        if first.is_ascii_alphabetic() {
            return Ok(self.name());
        }
        let kind = match first {
            '+' => TokenKind::Plus,
            '-' | '−' => TokenKind::Minus,
            '*' if self.peek(1) == Some('*') => {
                self.next += 1;
                TokenKind::Caret
            }
            '*' | '×' => TokenKind::Star,
            '/' | '÷' => TokenKind::Slash,
            '%' => TokenKind::Percent,
            '^' => TokenKind::Caret,
            ',' => TokenKind::Comma,
            'π' => TokenKind::Name("pi".into()),
            '(' => {
                self.calls.push(after_name);
                TokenKind::Open
            }
            ')' => {
                self.calls.pop();
                TokenKind::Close
            }
            _ => return Err(Fault::found(FaultKind::Character, self.next + 1, first)),
        };
        self.next += 1;
        Ok(kind)
    }

    fn name(&mut self) -> TokenKind {
        let mut name = String::new();
        while let Some(next) = self.peek(0).filter(char::is_ascii_alphanumeric) {
            name.push(next.to_ascii_lowercase());
            self.next += 1;
        }
        match name.as_str() {
            "of" => TokenKind::Of,
            "percent" => TokenKind::Percent,
            _ => TokenKind::Name(name),
        }
    }

    fn number(&mut self) -> Result<TokenKind, Fault> {
        let start = self.next;
        let mut digits = self.digits();
        self.groups(&mut digits)?;
        if self.peek(0) == Some('.') && self.is_digit(1) {
            self.next += 1;
            digits.push('.');
            digits += &self.digits();
        }
        let exponent = self.exponent();
        let value = Decimal::from_str_exact(&digits).ok().and_then(|mantissa| match exponent {
            None => Some(mantissa),
            Some(exponent) => scaled(mantissa, exponent?),
        });
        value.map(TokenKind::Number).ok_or_else(|| {
            let found: String = self.chars[start..self.next].iter().collect();
            Fault::found(FaultKind::Number, start + 1, found)
        })
    }

    /// Digits, between which `_` may stand.
    fn digits(&mut self) -> String {
        let mut digits = String::new();
        while self.is_digit(0)
            || (self.peek(0) == Some('_') && !digits.is_empty() && self.is_digit(1))
        {
            digits.extend(self.peek(0).filter(char::is_ascii_digit));
            self.next += 1;
        }
        digits
    }

    /// Groups of three digits after commas, where a comma cannot separate arguments.
    fn groups(&mut self, digits: &mut String) -> Result<(), Fault> {
        let can_be_grouped = (1..=3).contains(&digits.len()) && !digits.starts_with('0');
        let in_call = self.calls.last().copied().unwrap_or(false);
        while self.peek(0) == Some(',') && self.is_digit(1) {
            let is_group = (1..=3).all(|ahead| self.is_digit(ahead)) && !self.is_digit(4);
            match (in_call, can_be_grouped && is_group) {
                (true, true) => {
                    let group: String = self.chars[self.next..self.next + 4].iter().collect();
                    let found = format!("{digits}{group}");
                    return Err(Fault::found(FaultKind::AmbiguousComma, self.next + 1, found));
                }
                (true, false) => return Ok(()),
                (false, true) => {
                    digits.extend(&self.chars[self.next + 1..self.next + 4]);
                    self.next += 4;
                }
                (false, false) => return Err(Fault::new(FaultKind::Grouping, self.next + 1)),
            }
        }
        Ok(())
    }

    /// A power of ten such as `e-3`: `None` when there is none, `Some(None)` when it is out of range.
    fn exponent(&mut self) -> Option<Option<i32>> {
        let has_sign = matches!(self.peek(1), Some('+' | '-'));
        let starts =
            matches!(self.peek(0), Some('e' | 'E')) && self.is_digit(1 + usize::from(has_sign));
        if !starts {
            return None;
        }
        let is_negative = self.peek(1) == Some('-');
        self.next += 1 + usize::from(has_sign);
        let exponent = self.digits().parse::<i32>().ok();
        Some(exponent.map(|exponent| if is_negative { -exponent } else { exponent }))
    }
}

/// `mantissa * 10^exponent`, when a decimal can hold it exactly.
fn scaled(mantissa: Decimal, exponent: i32) -> Option<Decimal> {
    let mut value = mantissa.normalize();
    if value.is_zero() {
        return Some(value);
    }
    let scale = i32::try_from(value.scale()).ok()?.checked_sub(exponent)?;
    if let Ok(scale) = u32::try_from(scale) {
        value.set_scale(scale).ok()?;
        return Some(value);
    }
    value.set_scale(0).ok()?;
    (0..scale.unsigned_abs()).try_fold(value, |value, _| value.checked_mul(Decimal::TEN))
}
