//! Tests of `analyze`.

use tantivy::tokenizer::{TokenStream, Tokenizer};

use super::words::WORD_BYTES_MAX;
use super::{Analyzer, IndexTokenizer, STOP_WORDS};

fn stems(text: &str) -> Vec<String> {
    let mut stems = Vec::new();
    Analyzer::default().terms(text, |term| stems.push(term.stem.to_owned()));
    stems
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(stems(text), expected);
}

#[test]
fn words_become_terms() {
    check("", &[]);
    check("Retries, retrying: RETRY!", &["retri", "retri", "retri"]);
    check("Prandtl's boundary-layer", &["prandtl", "boundari", "layer"]);
    check("don’t 3.14", &["don't", "3", "14"]);
    check("Café Ålesund naïve e\u{301}", &["cafe", "alesund", "naiv", "e"]);
    check("queue_depth_max", &["queue_depth_max", "queue", "depth", "max"]);
    check("__init__ MAX_top_K a__b", &["init", "max_top_k", "max", "top", "a", "b"]);
    check("RetrieveError", &["retrieveerror", "retriev", "error"]);
    check("parseHTTPServer", &["parsehttpserv", "pars", "http", "server"]);
    check("検索 fn検x", &["検", "索", "fn", "検", "x"]);
}

#[test]
fn a_long_word_is_cut_and_does_not_break_a_character() {
    let stems = stems(&"ŵ".repeat(1_000));
    assert_eq!(stems.len(), 1);
    assert!(stems[0].len() <= WORD_BYTES_MAX + 4);
}

#[test]
fn stop_words_are_sorted_and_recognised() {
    assert!(STOP_WORDS.is_sorted());
    let mut content = Vec::new();
    Analyzer::default().terms("What is the Default?", |term| {
        if !term.stop {
            content.push(term.stem.to_owned());
        }
    });
    assert_eq!(content, ["default"]);
}

#[test]
fn the_index_sees_what_a_query_sees() {
    let text = "The RetrieveError's kinds — 検索, naïve queue_depth";
    let mut tokenizer = IndexTokenizer::default();
    let mut stream = tokenizer.token_stream(text);
    let mut indexed = Vec::new();
    while stream.advance() {
        assert_eq!(stream.token().position, indexed.len());
        indexed.push(stream.token().text.clone());
    }
    assert_eq!(indexed, stems(text));
}
