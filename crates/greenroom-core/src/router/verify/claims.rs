//! The marks of an answer: which text rests on which evidence, and which rests on none.

/// The most characters of an admission: it names what was looked for, and tells no story.
const ADMISSION_MAX: usize = 500;

/// A piece of text and the evidence numbers behind it.
#[derive(Debug, PartialEq)]
pub(super) struct Claim<'a> {
    pub(super) text: &'a str,
    pub(super) numbers: Vec<u32>,
    /// The punctuation behind the marks.
    pub(super) end: &'a str,
}

/// Cuts a paragraph behind every group of marks.
pub(super) fn claims(paragraph: &str) -> Vec<Claim<'_>> {
    let mut claims = Vec::new();
    let mut rest = paragraph;
    while let Some((text, numbers, behind)) = next_marks(rest) {
        rest = behind.trim_start_matches(['.', '!', '?', ',', ';', ':']);
        let end = &behind[..behind.len() - rest.len()];
        claims.push(Claim { text: text.trim(), numbers, end });
    }
    claims.push(Claim { text: rest.trim(), numbers: Vec::new(), end: "" });
    claims
}

/// The text without its marks.
pub(in crate::router) fn without_marks(text: &str) -> String {
    let mut bare = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((text, _, behind)) = next_marks(rest) {
        bare.push_str(text.trim_end_matches(' '));
        rest = behind;
    }
    bare + rest
}

/// The text before the next group of marks, its numbers, and what follows the group. Code spans have no
/// marks.
fn next_marks(text: &str) -> Option<(&str, Vec<u32>, &str)> {
    let mut from = 0;
    loop {
        let at = from + text[from..].find(['[', '`'])?;
        let rest = &text[at..];
        let fence = &rest[..rest.len() - rest.trim_start_matches('`').len()];
        if !fence.is_empty() {
            let inside = at + fence.len();
            let closing = text[inside..].find(fence);
            from = closing.map_or(inside, |len| inside + len + fence.len());
            continue;
        }
        let (numbers, behind) = group(rest);
        if !numbers.is_empty() {
            return Some((&text[..at], numbers, behind));
        }
        from = at + 1;
    }
}

/// The numbers of the marks at the beginning of the text, and what follows them.
fn group(text: &str) -> (Vec<u32>, &str) {
    let (mut numbers, mut behind) = (Vec::new(), text);
    let mut next = one_mark(text);
    while let Some((found, rest)) = next {
        numbers.extend(found);
        behind = rest;
        let rest = rest.trim_start_matches([' ', ',', ';']);
        next = one_mark(rest.strip_prefix("and ").unwrap_or(rest));
    }
    (numbers, behind)
}

/// Reads `[1]` or `[1, 2]` at the beginning of the text. Evidence is numbered from 1, and `[1](url)` is
/// a link.
fn one_mark(text: &str) -> Option<(Vec<u32>, &str)> {
    let (inner, behind) = text.strip_prefix('[')?.split_once(']')?;
    let number = |text: &str| {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|n| is_plain && *n > 0)
    };
    let numbers: Option<Vec<u32>> = inner.split(',').map(|n| number(n.trim())).collect();
    Some((numbers?, behind)).filter(|_| !behind.starts_with('('))
}

/// The marks of a list item, heading or quotation at the beginning of a line, and what follows them.
pub(super) fn split_prefix(line: &str) -> (&str, &str) {
    let mut body = line;
    while let Some((mark, rest)) = body.split_once(' ') {
        let number = mark.strip_suffix(['.', ')']).unwrap_or("");
        let is_number =
            (1..=3).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
        let is_heading = !mark.is_empty() && mark.bytes().all(|byte| byte == b'#');
        if !is_number && !is_heading && !matches!(mark, "-" | "*" | "+" | "•" | ">") {
            break;
        }
        body = rest.trim_start();
    }
    line.split_at(line.len() - body.len())
}

/// Whether a sentence says that something was not found, which needs no evidence. A claim that only
/// begins like an admission is none.
pub(super) fn is_admission(sentence: &str) -> bool {
    let lowered = sentence.to_lowercase().replace('’', "'");
    let admits = ["not found in the sources", "the sources do not", "the sources don't"];
    let turns =
        [" but ", " however", " although ", " though ", " yet ", " while ", " because ", ";"];
    admits.iter().any(|admission| lowered.starts_with(admission))
        && !turns.iter().any(|turn| lowered.contains(turn))
        && lowered.chars().nth(ADMISSION_MAX).is_none()
}
