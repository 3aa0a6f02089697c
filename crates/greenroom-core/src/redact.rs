//! Text with the secrets taken out, as far as they can be told by their shape.
//!
//! It is a net under the rope: secrets do not belong into messages, but a panic prints what it has. Shapes
//! are few and conservative, so that what a person needs to find a fault is still there: ids of runs,
//! paths, numbers and names are kept. A secret without a shape, such as a short password in a sentence, is
//! not found.
//!
//! | shape | becomes |
//! |---|---|
//! | `sk-…`, `ghp_…`, `xoxb-…`, `AKIA…` and other prefixes of keys | `sk-[redacted]` |
//! | `Bearer …`, `Basic …` | `Bearer [redacted]` |
//! | `api_key=…`, `"token": "…"`, `password: …` and the like | `api_key=[redacted]` |
//! | `scheme://user:password@host` | `scheme://[redacted]@host` |
//! | 40 or more hexadecimal digits, or characters of base64 with digits and letters of both cases | `[redacted]` |

use std::borrow::Cow;

const MARK: &str = "[redacted]";

/// Beginnings of keys, with the least number of characters that must follow.
const PREFIXES: [(&str, usize); 16] = [
    ("sk-", 8),
    ("sk_", 8),
    ("pk_", 16),
    ("rk_", 16),
    ("gsk_", 16),
    ("hf_", 16),
    ("xai-", 16),
    ("pplx-", 16),
    ("ghp_", 16),
    ("gho_", 16),
    ("ghs_", 16),
    ("github_pat_", 16),
    ("xoxb-", 8),
    ("xoxp-", 8),
    ("AKIA", 16),
    ("AIza", 30),
];

/// Ends of names whose values are secrets, without `_` and `-`. The plural `tokens` is a number.
const NAMES: [&str; 11] = [
    "apikey",
    "accesskey",
    "privatekey",
    "secretkey",
    "secret",
    "token",
    "password",
    "passwd",
    "authorization",
    "credential",
    "credentials",
];

/// What a value may begin with that is no part of it.
const BEFORE_VALUE: &str = " \t=:\"'\\";

/// Where a value or a credential ends at the latest.
const AFTER_VALUE: &str = "\"'`,;&)}]>\\";

/// The shortest run of hexadecimal digits or base64 that is taken for a secret. The id of a run has 32.
const LONG_MIN: usize = 40;

/// The text without what looks like a secret; borrowed when nothing does.
#[must_use]
pub fn redact(text: &str) -> Cow<'_, str> {
    let mut clean = String::new();
    let mut kept = 0;
    let mut before = Word::default();
    while let Some(word) = Word::after(text, &before) {
        let secret = word.secret(text, &before);
        before = word;
        if let Some((from, to)) = secret {
            clean.push_str(&text[kept..from]);
            clean.push_str(MARK);
            kept = to;
            // What follows a secret is no value of it.
            before = Word { end: to, ..Word::default() };
        }
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    clean.push_str(&text[kept..]);
    Cow::Owned(clean)
}

/// What a key can be made of, and what is between it and the word before.
#[derive(Debug, Default, Clone, Copy)]
struct Word<'a> {
    between: &'a str,
    text: &'a str,
    start: usize,
    end: usize,
}

impl<'a> Word<'a> {
    fn after(text: &'a str, before: &Word<'_>) -> Option<Self> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "_-+".contains(c);
        let rest = &text[before.end..];
        let start = rest.find(is_part)?;
        let word = &rest[start..];
        let word = &word[..word.find(|c| !is_part(c)).unwrap_or(word.len())];
        let (between, start) = (&rest[..start], before.end + start);
        Some(Self { between, text: word, start, end: start + word.len() })
    }

    /// Where the secret begins and ends that this word is, or begins.
    fn secret(&self, text: &str, before: &Word<'_>) -> Option<(usize, usize)> {
        let is_end = |c: char| c.is_whitespace() || AFTER_VALUE.contains(c);
        let rest = &text[self.start..];
        let value_end = self.start + rest.find(is_end).unwrap_or(rest.len());
        if self.is_value_of(before, value_end) || self.is_credential_of(before) {
            return Some((self.start, value_end));
        }
        let is_password = before.between.ends_with("://")
            && self.between == ":"
            && text[self.end..].starts_with('@');
        if is_password {
            return Some((self.start, self.end));
        }
        self.shape().map(|from| (self.start + from, self.end))
    }

    fn is_value_of(&self, name: &Word<'_>, end: usize) -> bool {
        let is_assigned = self.between.contains(['=', ':'])
            && self.between.chars().all(|c| BEFORE_VALUE.contains(c));
        if !is_assigned || self.is_scheme() {
            return false;
        }
        let plain: String = name.text.chars().filter(|c| !"_-".contains(*c)).collect();
        let plain = plain.to_ascii_lowercase();
        // "unexpected token: x" is what parsers say.
        let is_sure = plain != "token" || self.between != ": " || end - self.start >= 12;
        is_sure && NAMES.iter().any(|name| plain.ends_with(name))
    }

    fn is_credential_of(&self, scheme: &Word<'_>) -> bool {
        let is_next = !self.between.is_empty() && self.between.trim().is_empty();
        let has_mark = self.text.bytes().any(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
        is_next
            && self.text.len() >= 6
            && match scheme.text.to_ascii_lowercase().as_str() {
                "bearer" => true,
                "basic" => has_mark,
                _ => false,
            }
    }

    fn is_scheme(&self) -> bool {
        self.text.eq_ignore_ascii_case("bearer") || self.text.eq_ignore_ascii_case("basic")
    }

    /// From where on the word is a secret by its own shape.
    fn shape(&self) -> Option<usize> {
        for (prefix, n_min) in PREFIXES {
            if self.text.strip_prefix(prefix).is_some_and(|key| key.len() >= n_min) {
                return Some(prefix.len());
            }
        }
        let has = |test: fn(&u8) -> bool| self.text.as_bytes().iter().any(test);
        let is_hex = self.text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_mixed =
            has(u8::is_ascii_digit) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
        (self.text.len() >= LONG_MIN && (is_hex || is_mixed)).then_some(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        assert_eq!(redact(text), expect);
    }

    #[track_caller]
    fn check_kept(text: &str) {
        assert!(matches!(redact(text), Cow::Borrowed(kept) if kept == text), "{}", redact(text));
    }

    #[test]
    fn sup_j02_keys_are_told_by_their_beginning() {
        check("no access with sk-proj-abcdef123456!", "no access with sk-[redacted]!");
        check("key sk_live_0123456789", "key sk_[redacted]");
        check("(ghp_abcdefghij0123456789)", "(ghp_[redacted])");
        check("AKIAIOSFODNN7EXAMPLE", "AKIA[redacted]");
        check("xoxb-1234-5678-abcd", "xoxb-[redacted]");
    }

    #[test]
    fn sup_j02_values_are_told_by_their_names() {
        check("api_key=hunter2", "api_key=[redacted]");
        check("OPENAI_API_KEY: hunter2, model: x", "OPENAI_API_KEY: [redacted], model: x");
        check(
            r#"{"password":"hunter2","user":"bob"}"#,
            r#"{"password":"[redacted]","user":"bob"}"#,
        );
        check("?x-api-key=abc&q=1", "?x-api-key=[redacted]&q=1");
        check(r#"client_secret = 'abc'"#, r#"client_secret = '[redacted]'"#);
        check("password: p@ss/w0rd! for bob", "password: [redacted] for bob");
        check(r#""{\"token\":\"abc\"}""#, r#""{\"token\":\"[redacted]\"}""#);
    }

    #[test]
    fn sup_j02_credentials_are_told_by_their_scheme() {
        check("Authorization: Bearer abcdef.def-ghi/x==", "Authorization: Bearer [redacted]");
        check("bearer 0123456789", "bearer [redacted]");
        check("(Basic dXNlcjpwYXNz)", "(Basic [redacted])");
    }

    #[test]
    fn sup_j02_the_password_of_an_address_goes() {
        check("postgres://bob:hunter2@db:5432/x", "postgres://bob:[redacted]@db:5432/x");
    }

    #[test]
    fn sup_j02_long_random_text_goes() {
        check(&format!("hash {}", "0a".repeat(20)), "hash [redacted]");
        check("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9abcdEFGH", "[redacted]");
    }

    #[test]
    fn what_a_person_needs_is_kept() {
        check_kept("");
        check_kept("index out of bounds: the len is 3 but the index is 7");
        check_kept("run 7f3a0000000000000000000000000001 of agent research-t1 failed");
        check_kept("crates/greenroom-runtime/src/actor/slot/watching.rs:120:9: told to");
        check_kept("called `Option::unwrap()` on a `None` value");
        check_kept("the token limit is 4096 tokens: 5000 were sent");
        check_kept("max_tokens=4096, tokens: 12");
        check_kept("unexpected token: foo");
        check_kept("sent to:bob@example.com");
        check_kept("basic tests of a bearer of news");
        check_kept("550e8400-e29b-41d4-a716-446655440000");
        check_kept("a_function_with_a_rather_long_name_that_says_what_it_does_and_why");
        check_kept("http://localhost:8080/v1");
        check_kept("unknown task risk-assessment");
    }

    proptest! {
        #[test]
        fn any_text_is_redacted_once_and_for_all(text in any::<String>()) {
            let clean = redact(&text).into_owned();
            prop_assert_eq!(redact(&clean).into_owned(), clean);
        }

        #[test]
        fn a_key_is_found_anywhere(before in "[ a-z(]{0,20}", key in "[A-Za-z0-9]{8,60}") {
            let clean = redact(&format!("{before} sk-{key} end")).into_owned();
            prop_assert!(!clean.contains(&key), "{}", clean);
        }
    }
}
