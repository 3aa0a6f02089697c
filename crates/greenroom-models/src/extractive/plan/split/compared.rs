//! Questions about two things at once: "compare X and Y" and "what are X and Y" become one question
//! for each.

use crate::extractive::text::{is_one_of, words};

/// A thing that is asked for has at most this many words.
const WORDS_MAX: usize = 6;

/// One question for each thing, or the clause itself.
pub(super) fn compared(clause: &str) -> Vec<String> {
    let bare = clause.trim().trim_end_matches(['?', '.', '!', ' ']);
    let things = comparison(bare).or_else(|| pair_of_definitions(bare));
    match things {
        Some(things) => things.iter().map(|thing| definition(thing)).collect(),
        None => vec![clause.to_owned()],
    }
}

fn definition(thing: &str) -> String {
    let head = words(thing.split(" of ").next().unwrap_or(thing));
    let ends_plural =
        head.last().is_some_and(|word| word.text.ends_with('s') && !word.text.ends_with("ss"));
    let is_one = head.first().is_some_and(|word| matches!(word.text, "a" | "an" | "A" | "An"));
    let is_name = head.first().is_some_and(|word| word.text.starts_with(char::is_uppercase));
    let verb = if ends_plural && !is_one && !is_name { "are" } else { "is" };
    format!("What {verb} {thing}?")
}

fn comparison(bare: &str) -> Option<Vec<String>> {
    let lower = bare.to_ascii_lowercase();
    let after = |leads: &[&str]| {
        leads.iter().find_map(|lead| lower.starts_with(lead).then(|| &bare[lead.len()..]))
    };
    if let Some(rest) = after(&[
        "what is the difference between ",
        "what's the difference between ",
        "what are the differences between ",
        "explain the difference between ",
        "describe the difference between ",
        "difference between ",
    ]) {
        return pair(rest, &[" and "]);
    }
    if let Some(rest) = after(&["compare ", "please compare "]) {
        return pair(rest, &[" and ", " with ", " to ", " versus ", " vs. ", " vs ", " against "]);
    }
    if let Some(rest) = after(&["how does ", "how do "])
        && let Some((left, right)) = rest
            .split_once(" differ from ")
            .or(rest.split_once(" compare to "))
            .or(rest.split_once(" compare with "))
    {
        return things(left, right);
    }
    if let Some(rest) = after(&["how do "])
        && let Some(both) = rest.strip_suffix(" differ").or(rest.strip_suffix(" compare"))
    {
        return pair(both, &[" and "]);
    }
    None
}

/// "what are a slot and an envelope", "what is the capacity and the policy of a mailbox".
fn pair_of_definitions(bare: &str) -> Option<Vec<String>> {
    let lower = bare.to_ascii_lowercase();
    let leads = ["what is ", "what are ", "what's ", "define ", "who is ", "who are "];
    let lead = leads.iter().find(|lead| lower.starts_with(**lead))?;
    let rest = &bare[lead.len()..];
    let has_clause =
        words(rest).iter().any(|word| is_one_of(CLAUSE_WORDS, &word.text.to_lowercase()));
    if has_clause || lead.starts_with("who") {
        return None;
    }
    pair(rest, &[" and "])
}

fn pair(rest: &str, links: &[&str]) -> Option<Vec<String>> {
    let link = links.iter().find(|link| rest.contains(**link))?;
    let (left, right) = rest.split_once(link)?;
    if right.contains(link) || left.contains(',') {
        return None;
    }
    things(left, right)
}

/// Two things; a part that follows only one of them, as in "the size of X and Y" or "the size and
/// the age of X", belongs to both.
fn things(left: &str, right: &str) -> Option<Vec<String>> {
    let (left, right) = (left.trim(), right.trim());
    let n_words = words(left).len().max(words(right).len());
    if n_words == 0 || n_words > WORDS_MAX || words(left).is_empty() || words(right).is_empty() {
        return None;
    }
    let (right, aspect) =
        match right.split_once(" in terms of ").or(right.split_once(" with respect to ")) {
            Some((right, aspect)) => (right, Some(aspect)),
            None => (right, None),
        };
    let is_bare =
        |thing: &str| !["the ", "a ", "an ", "The "].iter().any(|start| thing.starts_with(start));
    let right =
        if left.starts_with("the ") && is_bare(right) && right.starts_with(char::is_lowercase) {
            format!("the {right}")
        } else {
            right.to_owned()
        };
    let right = right.as_str();
    if let Some(aspect) = aspect {
        return Some(vec![format!("the {aspect} of {left}"), format!("the {aspect} of {right}")]);
    }
    match (left.split_once(" of "), right.split_once(" of ")) {
        (Some((what, _)), None) => Some(vec![left.to_owned(), format!("{what} of {right}")]),
        (None, Some((_, whose))) => Some(vec![format!("{left} of {whose}"), right.to_owned()]),
        _ => Some(vec![left.to_owned(), right.to_owned()]),
    }
}

/// Words that make a thing more than a noun phrase.
const CLAUSE_WORDS: &str = "
    between both that which who when where is are was were does do did has have had for in by
    with from if plus times minus to divided multiplied sum product average name common
";
