//! Tests of `selection`.

use super::*;
use crate::extractive::corpus::Source;

/// What is chosen from passages given as `title: text`, those with `+` at the end of their title
/// gaining a bonus.
#[track_caller]
fn check(passages: &[&str], question: &str, expect: &[&str]) {
    let sources = passages.iter().enumerate().map(|(i, passage)| {
        let (title, text) = passage.split_once(": ").unwrap_or(("", passage));
        Source { id: i as u32, heading: title.to_owned(), title, text }
    });
    let mut corpus = Corpus::new(sources);
    let question = Question::new(question, &mut corpus.lexicon);
    let selection = select(
        &corpus,
        &question,
        &Wanted {
            n_max: 3,
            n_items_max: 6,
            is_allowed: &|_| true,
            bonus: &|entry| if passages[entry.id as usize].contains("+:") { 0.3 } else { 0.0 },
        },
    );
    let chosen: Vec<_> =
        selection.chosen.iter().map(|&index| corpus.entries[index].unit.text.as_str()).collect();
    assert_eq!(chosen, expect);
}

#[test]
fn the_kind_of_thing_that_is_asked_for_wins() {
    let brothers = "The company Acme was founded by two brothers in a garage.";
    let year = "The company Acme was founded in 1999.";
    check(&[brothers, year], "When was the company Acme founded?", &[year]);
    check(&[year, brothers], "How many brothers founded Acme?", &[brothers]);
    check(&["Slots hold agents."], "How many slots hold agents?", &[]);
}

#[test]
fn what_covers_too_little_is_no_answer() {
    check(
        &["The header of a page is bold and blue.", "A dashboard is a page."],
        "Which font family does the footer of the printed dashboard have?",
        &[],
    );
    let policies = [
        "A retry policy is a rule.",
        "An overflow policy is a rule.",
        "A restart policy is a rule.",
        "The privacy policy is short.",
        "Their policy is old.",
        "The merge sort is stable.",
    ];
    check(&policies, "What does merge policy do?", &[]);
    check(&policies, "What is the overflow policy?", &["An overflow policy is a rule."]);
}

#[test]
fn nothing_is_said_twice() {
    check(
        &["A slot is the record of one agent.", "A slot is the record of each agent."],
        "What is a slot?",
        &["A slot is the record of one agent."],
    );
}

#[test]
fn a_passage_that_is_named_continues_the_answer() {
    let luther = "Jon Luther: Jon Luther was chairman of Dunkin Brands.";
    let dunkin = "Dunkin Brands: The firm is headquartered in Canton.";
    let other = "Six Flags: The holding company is headquartered in a city.";
    check(
        &[luther, other, dunkin],
        "In what city is the company headquartered whose chairman was Jon Luther?",
        &[
            "Jon Luther was chairman of Dunkin Brands.",
            "The firm is headquartered in Canton.",
            "The holding company is headquartered in a city.",
        ],
    );
}

#[test]
fn the_parts_of_a_name_stand_together() {
    check(
        &[
            "It is optional that an async message has a trait.",
            "Support for async-trait is optional.",
        ],
        "Is async-trait optional?",
        &["Support for async-trait is optional."],
    );
    check(&["A trait of an async message is old."], "What is async-trait?", &[]);
}

#[test]
fn a_bonus_decides_between_equals() {
    let (left, right) = ("A: The default port is 80.", "B: The default port is 90.");
    check(&[left, right], "What is the default port?", &["The default port is 80."]);
    let right = "B+: The default port is 90.";
    check(&[left, right], "What is the default port?", &["The default port is 90."]);
}

#[test]
fn a_list_that_is_asked_for_is_given_as_a_list() {
    let features = "Features of Acme: - fast as the wind\n- small and light\n\nAcme has features.";
    check(&[features], "What are the features of Acme?", &["fast as the wind", "small and light"]);
    check(&[features], "What is Acme?", &["Acme has features."]);
}

#[test]
fn the_sentence_that_introduces_steps_says_how() {
    check(
        &[
            "Alke: The first Alke was installed on 9 September.\n\nTo install an Alke:\n\n1. Tow it.\n2. Grout it.",
        ],
        "How do I install an Alke?",
        &["To install an Alke:"],
    );
}

/// A row of a table is no sentence: it is said when no prose says as much, and never behind prose.
#[test]
fn a_row_of_a_table_is_said_only_where_no_prose_answers() {
    let prose = "A message that crashes its actor twice is quarantined.";
    let table = "| message | what happens |\n|---|---|\n\
                 | one that crashes its actor | is quarantined; others are handled |\n\
                 | one that is late | is dropped |";
    let row = "one that crashes its actor | is quarantined; others are handled";
    let question = "What happens to a message that crashes its actor?";
    check(&[prose, table], question, &[prose]);
    check(&[table, prose], question, &[prose]);
    check(&[table, "The weather is fine."], question, &[row]);
}
