//! Lists in a question: numbered or bulleted lines, and `1) ... 2) ...` in one line.

/// The items of a list in a question, and what stands around them; the whole question when there is
/// no list. A line that introduces the list is left out.
pub(super) fn items(question: &str) -> Vec<&str> {
    let lines: Vec<&str> =
        question.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let n_items = lines.iter().filter(|line| item(line).is_some()).count();
    if n_items >= 2 {
        let introduces = |line: &&str| line.ends_with(':') && item(line).is_none();
        return lines
            .iter()
            .filter(|line| !introduces(line))
            .map(|line| item(line).unwrap_or(line))
            .collect();
    }
    let inline = inline(question);
    if inline.len() >= 2 { inline } else { vec![question] }
}

fn item(line: &str) -> Option<&str> {
    let digits = line.len() - line.trim_start_matches(|char: char| char.is_ascii_digit()).len();
    let rest = match digits {
        0 => line.strip_prefix(['-', '*', '•'])?,
        1 | 2 => line[digits..].strip_prefix(['.', ')', ':'])?,
        _ => return None,
    };
    rest.strip_prefix([' ', '\t']).map(str::trim)
}

/// `1. one 2. two` or `(1) one (2) two`: the numbers must follow each other from 1.
fn inline(text: &str) -> Vec<&str> {
    let mut items = Vec::new();
    let mut start: Option<usize> = None;
    for n in 1..=20 {
        let from = start.unwrap_or(0);
        let marks = [format!("({n}) "), format!("{n}) "), format!("{n}. ")];
        let found = marks.iter().find_map(|mark| {
            let at = from + text[from..].find(mark.as_str())?;
            let is_word_start = text[..at].chars().next_back().is_none_or(char::is_whitespace);
            is_word_start.then_some((at, at + mark.len()))
        });
        let Some((at, next)) = found else { break };
        items.extend(start.map(|start| text[start..at].trim()));
        start = Some(next);
    }
    items.extend(start.map(|start| text[start..].trim()));
    items.retain(|item| !item.is_empty());
    items
}
