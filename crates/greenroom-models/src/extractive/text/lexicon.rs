//! The lexicon: one number per stem, so that texts are compared as lists of numbers.

use std::collections::HashMap;

use frostem::{Algorithm, Stemmer};

use super::words::{Word, words};

/// A stem, numbered by its lexicon.
pub(crate) type TermId = u32;

/// The stems seen so far. Every distinct word is stemmed once.
pub(crate) struct Lexicon {
    stemmer: Stemmer,
    /// The term of a lowercase word; `None` for a function word.
    terms: HashMap<String, Option<TermId>>,
    ids: HashMap<String, TermId>,
}

impl Lexicon {
    pub(crate) fn new() -> Self {
        Self {
            stemmer: Stemmer::new(Algorithm::English),
            terms: HashMap::new(),
            ids: HashMap::new(),
        }
    }

    /// The content words of a text as terms, in its order. A `CamelCase` name is followed by its parts,
    /// and `look-around` by `lookaround`, so that either spelling finds the other.
    pub(crate) fn terms(&mut self, text: &str) -> Vec<TermId> {
        let mut terms = Vec::new();
        let mut previous: Option<Word<'_>> = None;
        for word in words(text) {
            terms.extend(self.term(word.text));
            terms.extend(humps(word.text).iter().filter_map(|part| self.term(part)));
            let before = previous.filter(|before| &text[before.end()..word.start] == "-");
            if let Some(before) = before {
                terms.extend(self.term(&format!("{}{}", before.text, word.text)));
            }
            previous = Some(word);
        }
        terms
    }

    /// The term of one word; `None` for a function word.
    pub(crate) fn term(&mut self, word: &str) -> Option<TermId> {
        let word = word.to_lowercase();
        if let Some(&term) = self.terms.get(&word) {
            return term;
        }
        let term = (!is_function_word(&word)).then(|| self.stem(&word));
        self.terms.insert(word, term);
        term
    }

    /// The term of one word, even when it is a function word.
    pub(crate) fn stem(&mut self, word: &str) -> TermId {
        let stem = self.stemmer.stem(&word.to_lowercase()).into_owned().replace(',', "");
        let next = self.ids.len() as TermId;
        *self.ids.entry(stem).or_insert(next)
    }
}

/// The parts of a `CamelCase` name; empty for any other word.
fn humps(word: &str) -> Vec<&str> {
    let mut starts = vec![0];
    let mut previous = ' ';
    for (i, char) in word.char_indices() {
        if char.is_uppercase() && previous.is_lowercase() {
            starts.push(i);
        }
        previous = char;
    }
    if starts.len() == 1 {
        return Vec::new();
    }
    starts.push(word.len());
    starts.windows(2).map(|ends| &word[ends[0]..ends[1]]).collect()
}

/// Whether a lowercase word says nothing about a topic.
pub(crate) fn is_function_word(word: &str) -> bool {
    FUNCTION_WORDS.binary_search(&word).is_ok()
}

/// Sorted, because it is searched.
const FUNCTION_WORDS: &[&str] = &[
    "a", "about", "above", "after", "again", "all", "also", "am", "an", "and", "any", "are",
    "aren", "as", "at", "be", "because", "been", "before", "being", "below", "between", "both",
    "but", "by", "can", "could", "couldn", "d", "did", "didn", "do", "does", "doesn", "doing",
    "don", "down", "during", "each", "either", "else", "few", "for", "from", "further", "had",
    "has", "have", "having", "he", "her", "here", "hers", "him", "his", "how", "i", "if", "in",
    "into", "is", "isn", "it", "its", "just", "ll", "m", "many", "may", "me", "might", "more",
    "most", "much", "must", "my", "no", "nor", "not", "of", "off", "on", "once", "one", "only",
    "or", "other", "our", "ours", "out", "over", "own", "please", "re", "s", "same", "shall",
    "she", "should", "so", "some", "such", "t", "than", "that", "the", "their", "theirs", "them",
    "then", "there", "these", "they", "this", "those", "through", "to", "too", "under", "until",
    "up", "upon", "us", "ve", "very", "was", "wasn", "we", "were", "what", "when", "where",
    "whether", "which", "while", "who", "whom", "whose", "why", "will", "with", "within",
    "without", "won", "would", "you", "your", "yours",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_one_stem_are_one_term_and_function_words_are_none() {
        let mut lexicon = Lexicon::new();
        assert_eq!(lexicon.terms("the mailboxes"), lexicon.terms("Mailbox"));
        assert_eq!(lexicon.terms("1,024"), lexicon.terms("1024"));
        assert_eq!(lexicon.terms("how is it"), Vec::<TermId>::new());
        assert!(FUNCTION_WORDS.is_sorted());
    }

    #[test]
    fn a_camel_case_name_is_found_by_its_parts() {
        let mut lexicon = Lexicon::new();
        let [chat, model] = lexicon.terms("chat model")[..] else { panic!("two terms") };
        assert_eq!(lexicon.terms("ChatModel")[1..], [chat, model]);
        assert_eq!(lexicon.terms("look-around").last(), lexicon.terms("lookaround").last());
    }
}
