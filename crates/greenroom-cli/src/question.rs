//! Questions: where they come from and what they must be.

use std::io::{self, Read as _};

use crate::exit::{Exit, Failure, Problem, chain};

/// The longest question, in bytes.
pub(crate) const QUESTION_BYTES_MAX: usize = 1_000_000;

/// The question that was asked on the command line, or on standard input when that is `-`.
pub(crate) fn question(argument: String) -> Result<String, Failure> {
    let text = if argument == "-" { from_stdin()? } else { argument };
    checked(text)
}

/// The same question when it can be asked.
pub(crate) fn checked(text: String) -> Result<String, Failure> {
    if text.len() > QUESTION_BYTES_MAX {
        let message = format!("the question is longer than {QUESTION_BYTES_MAX} bytes");
        return Err(usage("GR0102", message)
            .help("put long texts into a file and name it with --corpus")
            .into());
    }
    if text.trim().is_empty() {
        return Err(usage("GR0101", "the question is empty").into());
    }
    Ok(text)
}

fn from_stdin() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    // One byte more than is allowed tells that there is more.
    let mut stdin = io::stdin().lock().take(QUESTION_BYTES_MAX as u64 + 1);
    stdin.read_to_end(&mut bytes).map_err(|error| {
        usage("GR0103", format!("the question cannot be read: {}", chain(&error)))
    })?;
    let is_cut = bytes.len() > QUESTION_BYTES_MAX;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        // The cut may have gone through a character; the length is what is wrong then.
        Err(error) if is_cut => Ok(String::from_utf8_lossy(error.as_bytes()).into_owned()),
        Err(_) => Err(usage("GR0103", "the question is not UTF-8").into()),
    }
}

fn usage(code: &'static str, message: impl Into<String>) -> Problem {
    Problem::new(Exit::Usage, code, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Option<&'static str> {
        match checked(text.to_owned()) {
            Err(Failure::Problem(problem)) => Some(problem.code),
            _ => None,
        }
    }

    #[test]
    fn a_question_has_words_and_at_most_a_megabyte() {
        assert_eq!(code("why?"), None);
        assert_eq!(code(" \n\t"), Some("GR0101"));
        assert_eq!(code(&"x".repeat(QUESTION_BYTES_MAX)), None);
        assert_eq!(code(&"x".repeat(QUESTION_BYTES_MAX + 1)), Some("GR0102"));
    }
}
