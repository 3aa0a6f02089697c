//! Questions about the calendar, as arguments of the `date` tool. Computes nothing.

use serde_json::{Map, Value, json};

use crate::extractive::text::{Word, words};

/// How the tool spells the date of its clock.
const TODAY: &str = "today";

/// A date in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Date {
    /// As `YYYY-MM-DD`, or `today`.
    pub(crate) iso: String,
    /// The index of its first word.
    first: usize,
    /// The index after its last word.
    end: usize,
}

/// The arguments of the `date` tool for a question about the calendar; `None` for any other.
///
/// | question | operation |
/// |---|---|
/// | two dates and "between", "from", "until", "how many days", ... | `difference` |
/// | a date and "day of the week", "weekday", "what day was" | `weekday` |
/// | a date and "90 days after", "2 weeks before", "plus 3 months" | `add` |
/// | a date and "how many days until", "since" | `difference` from or to today |
///
/// "today" is a date.
pub(super) fn spot(question: &str) -> Option<Value> {
    let words = words(question);
    let lower: Vec<String> = words.iter().map(|word| word.text.to_lowercase()).collect();
    let dates = dates(question);
    let has = |list: &[&str]| lower.iter().any(|word| list.contains(&word.as_str()));
    match &dates[..] {
        [from, to]
            if has(&[
                "between",
                "from",
                "until",
                "till",
                "since",
                "to",
                "many",
                "long",
                "difference",
            ]) =>
        {
            Some(json!({ "operation": "difference", "date": from.iso, "to": to.iso }))
        }
        [date] if has(&["many", "long"]) && has(&["until", "till"]) => {
            Some(json!({ "operation": "difference", "date": TODAY, "to": date.iso }))
        }
        [date] if has(&["many", "long"]) && has(&["since"]) => {
            Some(json!({ "operation": "difference", "date": date.iso, "to": TODAY }))
        }
        [date] => {
            let asks = has(&["what", "which", "calculate", "compute", "when"]);
            add(&lower, date).filter(|_| asks).or_else(|| {
                let is_weekday = has(&["weekday"])
                    || date.iso == TODAY && has(&["date"]) && lower.len() <= 5
                    || has(&["week"]) && has(&["day"])
                    || lower.windows(2).any(|pair| {
                        matches!(pair[0].as_str(), "what" | "which") && pair[1] == "day"
                    });
                is_weekday.then(|| json!({ "operation": "weekday", "date": date.iso }))
            })
        }
        _ => None,
    }
}

/// Amounts such as "2 months and 10 days" with "after", "before", "from", "plus" or "minus".
fn add(lower: &[String], date: &Date) -> Option<Value> {
    let mut amounts = Map::new();
    let mut last = 0;
    for (i, pair) in lower.windows(2).enumerate() {
        let Some(amount) = number(&pair[0]) else { continue };
        let unit = match pair[1].as_str() {
            "day" | "days" => "days",
            "week" | "weeks" => "weeks",
            "month" | "months" => "months",
            "year" | "years" => "years",
            _ => continue,
        };
        amounts.insert(unit.to_owned(), json!(amount));
        last = i + 2;
    }
    if amounts.is_empty() {
        return None;
    }
    let between = if last <= date.first { &lower[last..date.first] } else { &lower[date.end..] };
    let has = |list: &[&str]| between.iter().any(|word| list.contains(&word.as_str()));
    let sign = if has(&["before", "minus", "prior", "earlier", "ago"]) {
        -1
    } else if has(&["after", "from", "plus", "following", "past", "later", "since", "to"]) {
        1
    } else {
        return None;
    };
    for amount in amounts.values_mut() {
        *amount = json!(amount.as_i64().unwrap_or(0) * sign);
    }
    amounts.insert("operation".to_owned(), json!("add"));
    amounts.insert("date".to_owned(), json!(date.iso));
    Some(Value::Object(amounts))
}

fn number(word: &str) -> Option<i64> {
    let words =
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
    let written = words.iter().position(|known| *known == word).map(|n| n as i64);
    written
        .or_else(|| word.parse().ok().filter(|n| (0..100_000).contains(n)))
        .or((word == "a").then_some(1))
}

/// The dates of a text: `2024-03-01`, `15 March 2025`, `July 4th, 1976`, `the 4th of July 1976`.
pub(crate) fn dates(text: &str) -> Vec<Date> {
    let words = words(text);
    let mut dates = Vec::new();
    let mut i = 0;
    while i < words.len() {
        match date_at(text, &words, i) {
            Some(date) => {
                i = date.end;
                dates.push(date);
            }
            None => i += 1,
        }
    }
    dates
}

fn date_at(text: &str, words: &[Word<'_>], first: usize) -> Option<Date> {
    let at = |i: usize| words.get(i).map_or("", |word| word.text);
    let gap = |i: usize| words.get(i + 1).map_or("", |next| &text[words[i].end()..next.start]);
    let has_of = at(first + 1).eq_ignore_ascii_case("of");
    let after = first + 1 + usize::from(has_of);
    let (year, month, day, end) =
        if let (Some(month), Some(day)) = (month(at(first)), day(at(first + 1))) {
            (year(at(first + 2))?, month, day, first + 3)
        } else if let (Some(day), Some(month)) = (day(at(first)), month(at(after))) {
            (year(at(after + 1))?, month, day, after + 2)
        } else if first + 2 < words.len() && gap(first) == "-" && gap(first + 1) == "-" {
            let month = at(first + 1).parse().ok().filter(|month| (1..=12).contains(month))?;
            (year(at(first))?, month, day(at(first + 2))?, first + 3)
        } else {
            return None;
        };
    Some(Date { iso: format!("{year:04}-{month:02}-{day:02}"), first, end })
}

fn year(word: &str) -> Option<u32> {
    word.parse().ok().filter(|_| word.len() == 4)
}

fn day(word: &str) -> Option<u32> {
    let digits =
        ["st", "nd", "rd", "th"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word);
    digits.parse().ok().filter(|day| (1..=31).contains(day))
}

fn month(word: &str) -> Option<u32> {
    let months = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let word = word.to_lowercase();
    let is_named = |month: &str| {
        *month == word || word.len() >= 3 && word.len() <= 4 && month.starts_with(&word)
    };
    months.iter().position(|month| is_named(month)).map(|i| i as u32 + 1)
}
