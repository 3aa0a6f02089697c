//! Tests of `units`.

use super::*;

#[track_caller]
fn check(passage: &str, expect: &[(UnitKind, &str)]) {
    let units = units(passage);
    let found: Vec<_> = units.iter().map(|unit| (unit.kind, unit.text.as_str())).collect();
    assert_eq!(found, expect);
    for unit in &units {
        assert!(normalised(passage).contains(&normalised(&unit.text)), "{:?}", unit.text);
    }
}

#[test]
fn a_passage_is_cut_into_units_that_can_be_quoted() {
    use UnitKind::{Code, Item, Row, Sentence};
    check("", &[]);
    check("# Only a heading", &[]);
    check(
        "# Mailbox\n\nA mailbox is\n**bounded**. It holds 64.\n",
        &[(Sentence, "A mailbox is bounded."), (Sentence, "It holds 64.")],
    );
    check(
        "Options:\n\n- `drop`: the oldest\n  message goes\n* [Docs](x.md)\n1. wait for room",
        &[(Item, "`drop`: the oldest message goes"), (Item, "wait for room")],
    );
    check(
        "| name | default |\n|---|---|\n| `capacity` | 64 [1] |\n\nAfter the table.",
        &[(Row, "`capacity` | 64"), (Sentence, "After the table.")],
    );
    check(
        "```rust\nlet x = 64;\n\n```\nText goes on here.",
        &[(Code, "`let x = 64;`"), (Sentence, "Text goes on here.")],
    );
    check(
        "Title line\n=====\nThe body is here.\n\n---\n<p>raw</p>\n[a]: http://x",
        &[(Sentence, "The body is here.")],
    );
    check(
        "It is tall [1] and was built in 1889.[2][3] Then it stood.",
        &[
            (Sentence, "It is tall"),
            (Sentence, "and was built in 1889."),
            (Sentence, "Then it stood."),
        ],
    );
    check(
        "> Quoted text is cut\n> at each line.",
        &[(Sentence, "Quoted text is cut"), (Sentence, "at each line.")],
    );
}

#[test]
fn badges_are_no_text_however_many_there_are() {
    let badge = "[<img alt=\"build status\" src=\"https://img.example/a/ci.yml?branch=main\" \
        height=\"20\">](https://b.example/actions?query=branch%3Amain)\n";
    check(
        &format!("{}\nText goes on here.", badge.repeat(8)),
        &[(UnitKind::Sentence, "Text goes on here.")],
    );
}

#[test]
fn what_is_denied_is_not_quoted_without_the_denial() {
    check("It is not true [1] that a run never ends.", &[(UnitKind::Sentence, "It is not true")]);
}

#[test]
fn items_know_their_lead_and_rows_their_header() {
    let found = units(
        "# Joins\nThe joins are these:\n- all of them\n- one is enough\n\n|a|b|\n|-|-|\n|capacity|64|",
    );
    assert_eq!(found[0].heading, "Joins");
    assert_eq!(
        found.iter().map(|unit| unit.lead).collect::<Vec<_>>(),
        [None, Some(0), Some(0), None]
    );
    assert_eq!(found[3].heading, "|a|b|");
}
