//! Words on one line: shortened, counted, timed.

use std::time::Duration;

/// The text on one line of at most so many characters; `…` stands for the rest.
pub(crate) fn clipped(text: &str, n_chars_max: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(n_chars_max) {
        None => line,
        Some(_) => {
            let kept: String = line.chars().take(n_chars_max.saturating_sub(1)).collect();
            format!("{}…", kept.trim_end())
        }
    }
}

/// A number with its noun: `1 file`, `1,024 files`.
pub(crate) fn count(n: u64, noun: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(n))
}

/// A number with a comma between thousands.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A duration as people say it: `84 ms`, `1.2 s`, `3 min 20 s`.
pub(crate) fn seconds(duration: Duration) -> String {
    let millis = duration.as_millis();
    match millis {
        0..1000 => format!("{millis} ms"),
        1000..60_000 => format!("{:.1} s", duration.as_secs_f64()),
        _ => format!("{} min {} s", duration.as_secs() / 60, duration.as_secs() % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_clipped_to_one_line() {
        assert_eq!(clipped("a\n  b", 5), "a b");
        assert_eq!(clipped("abcdef", 6), "abcdef");
        assert_eq!(clipped("äöüäöüä", 6), "äöüäö…");
    }

    #[test]
    fn numbers_and_times_are_readable() {
        assert_eq!(count(1, "file"), "1 file");
        assert_eq!(count(1_234_567, "token"), "1,234,567 tokens");
        assert_eq!(seconds(Duration::from_millis(84)), "84 ms");
        assert_eq!(seconds(Duration::from_millis(1234)), "1.2 s");
        assert_eq!(seconds(Duration::from_secs(200)), "3 min 20 s");
    }
}
