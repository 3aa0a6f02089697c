//! From text to terms: the one analysis that indexing, queries and feedback share.
//!
//! A term is a word in lower case, without diacritics, and stemmed for English. `camelCase` and
//! `snake_case` names count whole and in parts; writing without spaces (Chinese, Japanese) counts by character. Stop
//! words are indexed, so that a query of nothing else still finds something, but are left out of
//! every query that has a better word.

use frostem::{Algorithm, Stemmer};
use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

mod stop_words;
mod words;

pub(crate) use stop_words::STOP_WORDS;
use words::{Words, fold};

/// The name under which tantivy knows [`IndexTokenizer`].
pub(crate) const TOKENIZER: &str = "greenroom";

/// The stems that an analyzer remembers: a text repeats few words often, and stemming is dear.
const CACHE_SLOTS: usize = 1 << 14;

/// A term of a text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Term<'a> {
    /// The term as it is indexed.
    pub(crate) stem: &'a str,
    /// Whether it is a stop word.
    pub(crate) stop: bool,
    /// Whether it is a part of the word before it.
    pub(crate) part: bool,
}

/// Turns words into terms. Holds a cache, hence `&mut`.
#[derive(Clone)]
pub(crate) struct Analyzer {
    stemmer: Stemmer,
    /// A word's slot follows from its hash; a newcomer takes the place of who is there.
    cache: Vec<Remembered>,
    lower: String,
}

/// A word with what became of it.
#[derive(Debug, Clone, Default)]
struct Remembered {
    word: String,
    stem: String,
    stop: bool,
}

impl std::fmt::Debug for Analyzer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Analyzer").finish_non_exhaustive()
    }
}

impl Default for Analyzer {
    fn default() -> Self {
        Self {
            stemmer: Stemmer::new(Algorithm::English),
            cache: vec![Remembered::default(); CACHE_SLOTS],
            lower: String::new(),
        }
    }
}

impl Analyzer {
    /// Calls `each` with every term of the text, in order.
    pub(crate) fn terms(&mut self, text: &str, mut each: impl FnMut(Term<'_>)) {
        let mut words = Words::new(text);
        while let Some((word, part)) = words.next() {
            let (stem, stop) = self.term(word);
            each(Term { stem, stop: stop && !part, part });
        }
    }

    /// The term of one word, and whether the word is a stop word.
    fn term(&mut self, word: &str) -> (&str, bool) {
        self.lower.clear();
        fold(word, &mut self.lower);
        let hash = self.lower.bytes().fold(0_u64, |hash, byte| {
            (hash.rotate_left(5) ^ u64::from(byte)).wrapping_mul(0x517c_c1b7_2722_0a95)
        });
        let slot = &mut self.cache[(hash >> 40) as usize % CACHE_SLOTS];
        if slot.word != self.lower {
            slot.stop = STOP_WORDS.binary_search(&self.lower.as_str()).is_ok();
            slot.stem.clear();
            slot.stem.push_str(&self.stemmer.stem(&self.lower));
            slot.word.clone_from(&self.lower);
        }
        (&slot.stem, slot.stop)
    }
}

/// The analysis as tantivy calls it when it indexes.
#[derive(Debug, Clone, Default)]
pub(crate) struct IndexTokenizer {
    analyzer: Analyzer,
}

impl Tokenizer for IndexTokenizer {
    type TokenStream<'a> = IndexTokenStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> IndexTokenStream<'a> {
        IndexTokenStream {
            analyzer: &mut self.analyzer,
            words: Words::new(text),
            token: Token::default(),
        }
    }
}

/// The terms of one text.
#[derive(Debug)]
pub(crate) struct IndexTokenStream<'a> {
    analyzer: &'a mut Analyzer,
    words: Words<'a>,
    token: Token,
}

impl TokenStream for IndexTokenStream<'_> {
    fn advance(&mut self) -> bool {
        let Some((word, _)) = self.words.next() else { return false };
        self.token.text.clear();
        self.token.text.push_str(self.analyzer.term(word).0);
        self.token.position = self.token.position.wrapping_add(1);
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

#[cfg(test)]
mod tests;
