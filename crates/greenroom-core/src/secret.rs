//! Secrets: values that can be used and not shown.

use std::fmt;

use zeroize::Zeroizing;

/// What stands in a text where a secret was.
pub const REDACTED: &str = "[redacted]";

/// The shortest piece of a secret that is worth hiding: shorter ones stand in every text by chance.
const PIECE_LEN_MIN: usize = 6;

/// A key or a password.
///
/// It is shown as `[redacted]`, cannot be serialised, and is wiped from memory when it is dropped. Only
/// [`expose`](Self::expose) gives it away, so that one search of a code base finds every place that does.
///
/// # Examples
///
/// ```
/// use greenroom_core::secret::Secret;
///
/// let key = Secret::new("sk-1234567890");
/// assert_eq!(format!("{key:?} {key}"), "Secret([redacted]) [redacted]");
/// assert_eq!(key.redact("bad key sk-1234567890."), "bad key [redacted].");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes charge of a secret. Space around it, which comes from files and terminals, is left out.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        let text = Zeroizing::new(text.into());
        Self(Zeroizing::new(text.trim().to_owned()))
    }

    /// The secret itself, for whoever has to send it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing to hide.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text with the secret taken out, wherever it stands. A word that begins like the secret goes as
    /// well, because providers answer with keys that they have cut or masked in the middle.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        if self.0.is_empty() {
            return text.to_owned();
        }
        let text = text.replace(self.expose(), REDACTED);
        let head_end = self.0.floor_char_boundary(PIECE_LEN_MIN);
        let (head, rest) = self.0.split_at(head_end);
        if rest.is_empty() {
            return text;
        }
        let mut redacted = String::with_capacity(text.len());
        let mut left = text.as_str();
        while let Some(at) = left.find(head) {
            redacted.push_str(&left[..at]);
            redacted.push_str(REDACTED);
            let end = left[at..].find(ends_word).map_or(left.len(), |len| at + len);
            left = &left[end..];
        }
        redacted + left
    }
}

/// Whether a character ends a word that may be a masked key.
fn ends_word(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '"' | '\'' | ',' | ';' | '<' | '>' | '(' | ')' | '[' | ']' | '}')
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({REDACTED})")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(REDACTED)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(secret: &str, text: &str, redacted: &str) {
        assert_eq!(Secret::new(secret).redact(text), redacted);
    }

    #[test]
    fn a_secret_is_taken_out_whole_cut_and_masked() {
        check("sk-proj-abcdef", "key sk-proj-abcdef is bad", "key [redacted] is bad");
        check("sk-proj-abcdef", "{\"k\":\"sk-proj-***def\"}", "{\"k\":\"[redacted]\"}");
        check("sk-proj-abcdef", "sk-proj-ab, sk-proj-", "[redacted], [redacted]");
        check("sk-proj-abcdef", "sk-other is fine", "sk-other is fine");
        check("short", "a short word, shor", "a [redacted] word, shor");
        check("", "nothing to hide", "nothing to hide");
        check("äöüäöüäö", "xäöüäöüäö!", "x[redacted]!");
    }

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret::from(" canary-canary\n".to_owned());
        assert_eq!(secret.expose(), "canary-canary");
        assert!(!format!("{secret} {secret:?} {secret:#?} {:>40}", secret).contains("canary"));
    }
}
