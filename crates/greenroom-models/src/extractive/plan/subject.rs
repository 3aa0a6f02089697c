//! The subject of a question, and putting it in the place of pronouns.

use crate::extractive::text::{is_function_word, is_one_of, words};

/// A subject has at most this many words.
const WORDS_MAX: usize = 7;

/// What a question is about: the noun phrase after "what is", "how does" and the like.
pub(super) fn subject(question: &str) -> Option<String> {
    let text = question.trim().trim_end_matches(['?', '.', '!', ' ']);
    let words = words(text);
    let lower: Vec<String> = words.iter().map(|word| word.text.to_lowercase()).collect();
    let first = lower.iter().take(6).position(|word| AUXILIARIES.contains(&word.as_str()));
    let leads = lower.first().is_some_and(|word| QUESTION_WORDS.contains(&word.as_str()));
    let start = match first {
        Some(i) if leads || i == 0 => i + 1,
        _ if lower.first().is_some_and(|word| IMPERATIVES.contains(&word.as_str())) => 1,
        _ => return None,
    };
    let start = start + usize::from(lower.get(start).is_some_and(|word| word == "not"));
    // "how does the retry limit work" has its verb at the end; "what is the retry limit" has none.
    let has_verb = matches!(
        lower.get(start.wrapping_sub(1)).map(String::as_str),
        Some("do" | "does" | "did" | "can" | "should" | "could" | "will" | "would")
    );
    let mut end = start;
    while end < words.len() && end - start < WORDS_MAX {
        let word = lower[end].as_str();
        let gap = end.checked_sub(1).map_or("", |last| &text[words[last].end()..words[end].start]);
        let follows_determiner = end > start && DETERMINERS.contains(&lower[end - 1].as_str());
        let is_participle = end + 1 == words.len() && (word == "born" || word.ends_with("ed"));
        let is_verb = (is_one_of(VERBS, word) && (has_verb || word.ends_with('s'))
            || is_participle)
            && !follows_determiner;
        if end > start && (gap.contains([',', ';', ':', '(']) || STOPS.contains(&word) || is_verb) {
            break;
        }
        end += 1;
    }
    if start >= end || lower[start..end].iter().all(|word| is_function_word(word)) {
        return None;
    }
    let mut span = (words[start].start, words[end - 1].end());
    if text[..span.0].ends_with(['`', '"']) {
        span.0 -= 1;
    }
    if text[span.1..].starts_with(['`', '"']) {
        span.1 += 1;
    }
    Some(text[span.0..span.1].to_owned())
}

/// Whether a question leaves its subject to what was said before.
pub(super) fn has_open_pronoun(question: &str) -> bool {
    let lower: Vec<String> = words(question).iter().map(|word| word.text.to_lowercase()).collect();
    lower.iter().enumerate().any(|(i, word)| is_open(&lower, i, word))
}

/// Whether a question has a pronoun that stands for one person.
pub(super) fn has_person_pronoun(question: &str) -> bool {
    let is_person = |word: &str| matches!(word, "he" | "she" | "him" | "his" | "her");
    words(question).iter().any(|word| is_person(&word.text.to_lowercase()))
}

/// "it", "its", "she", "they"; "there" at the end; and "this", "that", "these" and "those" with no noun and no clause of their
/// own after them. "it is", "is it possible", "are there" and the like stay.
fn is_open(lower: &[String], i: usize, word: &str) -> bool {
    let next = lower.get(i + 1).map(String::as_str);
    let before = i.checked_sub(1).map(|i| lower[i].as_str());
    match word {
        "it" => {
            !matches!(next, Some("possible" | "true" | "necessary" | "worth" | "better" | "that"))
        }
        "its" | "their" | "his" | "her" => !follows_relative(&lower[..i]),
        "they" | "them" | "theirs" | "he" | "she" | "him" => true,
        "there" => next.is_none() && !matches!(before, Some("is" | "are" | "was" | "were") | None),
        "this" | "these" | "those" => {
            next.is_none_or(|next| is_function_word(next) || is_one_of(VERBS, next))
        }
        "that" => {
            let demonstrates =
                matches!(before, Some("is" | "does" | "was" | "why" | "how" | "about" | "of"));
            demonstrates && next.is_none_or(|next| is_one_of(VERBS, next))
        }
        _ => false,
    }
}

/// Whether words end in a relative clause, whose noun is what a possessive after it stands for: "a
/// message that crashes its actor".
fn follows_relative(before: &[String]) -> bool {
    before.windows(2).any(|pair| {
        let [noun, relative] = [pair[0].as_str(), pair[1].as_str()];
        matches!(relative, "that" | "which" | "who")
            && !is_function_word(noun)
            && !IMPERATIVES.contains(&noun)
    })
}

/// The question with its open pronouns replaced by the subject; a possessive gets `'s`.
pub(super) fn with_subject(question: &str, subject: &str) -> String {
    let words = words(question);
    let lower: Vec<String> = words.iter().map(|word| word.text.to_lowercase()).collect();
    let mut text = String::with_capacity(question.len() + subject.len());
    let mut at = 0;
    for (i, word) in words.iter().enumerate() {
        if !is_open(&lower, i, &lower[i]) {
            continue;
        }
        text.push_str(&question[at..word.start]);
        text.push_str(if lower[i] == "there" { "at " } else { "" });
        text.push_str(subject);
        let is_owner = match lower[i].as_str() {
            "her" => lower.get(i + 1).is_some_and(|next| !is_function_word(next)),
            pronoun => matches!(pronoun, "its" | "their" | "theirs" | "his"),
        };
        if is_owner {
            text.push_str(if subject.ends_with('s') { "'" } else { "'s" });
        }
        at = word.end();
    }
    text.push_str(&question[at..]);
    text
}

pub(super) const QUESTION_WORDS: &[&str] = &[
    "what", "which", "who", "whom", "whose", "when", "where", "why", "how", "is", "are", "was",
    "were", "does", "do", "did", "can", "could", "should", "will", "would", "has", "have", "may",
    "must",
];

pub(super) const IMPERATIVES: &[&str] = &[
    "explain",
    "describe",
    "list",
    "compare",
    "define",
    "summarise",
    "summarize",
    "calculate",
    "compute",
    "find",
    "give",
    "show",
    "tell",
    "name",
    "outline",
    "evaluate",
];

const AUXILIARIES: &[&str] = &[
    "is", "are", "was", "were", "does", "do", "did", "can", "could", "should", "will", "would",
    "has", "have", "may", "must", "s",
];

/// Words after which a verb-like word is a noun: "the default retry limit".
const DETERMINERS: &[&str] = &[
    "the", "a", "an", "its", "our", "your", "my", "their", "default", "maximum", "minimum", "first",
];

/// Words that end a noun phrase. "of" does not: the capacity of a mailbox.
const STOPS: &[&str] = &[
    "that", "which", "who", "when", "where", "while", "if", "in", "on", "at", "by", "for", "with",
    "from", "to", "as", "into", "after", "before", "during", "between", "and", "or", "but", "not",
    "than", "when", "is", "are", "was", "were", "be", "been", "do", "does", "did", "can", "will",
    "would", "should", "it", "they", "using", "about", "because", "so", "then", "per", "called",
    "used", "based", "known",
];

const VERBS: &str = "
    work works mean means do happen happens use uses handle handles differ differs compare
    relate affect affects make makes need needs support supports require requires cost take
    takes look behave restart restarts start starts stop stops run runs fail fails store stores
    send sends receive receives keep keeps allow allows return returns help come go get gets
    give wait waits decide decides know knows read reads write writes born live die play
    released founded located implement implements provide provides contain contains have has
    become retry retries recover recovers detect detects ensure prevent prevents process
    processes scale scales compile compiles matter exist exists
";
