//! Results of tasks inside the arguments of another task's call.

use serde_json::Value;

use crate::report::Report;

/// The arguments with every `{task}` replaced by what that task found. A name that `report_of` does not
/// know stays as it is, and what is filled in is not filled again.
pub(super) fn filled<'a>(
    arguments: &Value,
    report_of: &dyn Fn(&str) -> Option<&'a Report>,
) -> Value {
    match arguments {
        Value::String(text) => Value::String(filled_text(text, report_of)),
        Value::Array(items) => items.iter().map(|item| filled(item, report_of)).collect(),
        Value::Object(fields) => {
            let fields =
                fields.iter().map(|(name, value)| (name.clone(), filled(value, report_of)));
            Value::Object(fields.collect())
        }
        other => other.clone(),
    }
}

fn filled_text<'a>(text: &str, report_of: &dyn Fn(&str) -> Option<&'a Report>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        filled.push_str(&rest[..open]);
        rest = &rest[open..];
        let named = rest[1..].split_once('}');
        match named.and_then(|(id, behind)| Some((report_of(id)?, behind))) {
            Some((report, behind)) => {
                filled.push_str(&scalar(report));
                rest = behind;
            }
            None => {
                filled.push('{');
                rest = &rest[1..];
            }
        }
    }
    filled + rest
}

/// What a report stands for: its value when that is a scalar or has a `result` that is one, else the
/// first number of its text, else its text.
fn scalar(report: &Report) -> String {
    match report.value.as_ref().map(|value| value.get("result").unwrap_or(value)) {
        Some(Value::String(text)) => text.clone(),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
        _ => first_number(&report.text).unwrap_or_else(|| report.text.clone()),
    }
}

/// The first number that stands for itself, without thousands separators: `t1`, `GPT-4`, the version
/// `0.16.5` and the mark `[2]` are none.
fn first_number(text: &str) -> Option<String> {
    let mut from = 0;
    while let Some(start) = text[from..].find(|symbol: char| symbol.is_ascii_digit()) {
        let start = from + start;
        let end = number_end(text, start);
        let (before, after) = (&text[..start], &text[end..]);
        let is_version = text[start..end].matches('.').count() > 1;
        let is_mark = before.ends_with('[') && after.starts_with(']');
        let unsigned = before.trim_end_matches(['-', '−']);
        let in_name = unsigned.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '.'));
        if is_version || is_mark || in_name {
            from = end;
            continue;
        }
        let is_negative = before[unsigned.len()..].chars().count() == 1;
        let digits = text[start..end].replace(',', "");
        return Some(if is_negative { format!("-{digits}") } else { digits });
    }
    None
}

/// The byte after the digits that start at `start`, with a comma before each group of three and points
/// before digits.
fn number_end(text: &str, start: usize) -> usize {
    let n_digits = |from: usize| text[from..].bytes().take_while(u8::is_ascii_digit).count();
    let mut end = start + n_digits(start);
    let mut is_whole = true;
    loop {
        let group = match text.as_bytes().get(end) {
            Some(b'.') => n_digits(end + 1),
            Some(b',') if is_whole => n_digits(end + 1),
            _ => return end,
        };
        let is_point = text.as_bytes()[end] == b'.';
        if group == 0 || !is_point && group != 3 {
            return end;
        }
        is_whole &= !is_point;
        end += 1 + group;
    }
}
