//! The check of answers: what is kept, how it is marked, and what is quoted.

mod adversary;
mod properties;

use super::simulation::{passage, task};
use crate::report::Report;
use crate::retriever::{Citation, Passage};
use crate::router::{EvidenceTable, PlannedTask, Verified, verify};

/// Evidence: results of tools come first, then passages.
fn table(results: &[&str], passages: &[Passage]) -> EvidenceTable {
    let call = |n: usize| task(&format!("c{n}")).calling("calculate", serde_json::Value::Null);
    let mut reports: Vec<(PlannedTask, Report)> =
        results.iter().enumerate().map(|(n, text)| (call(n), Report::text(*text))).collect();
    let passages = passages.to_vec();
    reports.push((task("r"), Report { passages, ..Report::default() }));
    EvidenceTable::gather(reports.iter().map(|(task, report)| (task, report))).0
}

fn passages(texts: &[&str]) -> Vec<Passage> {
    texts.iter().enumerate().map(|(n, text)| passage(&format!("p{n}"), text)).collect()
}

/// Checks an answer against these passages.
fn verified(answer: &str, texts: &[&str]) -> Verified {
    verify(answer, &table(&[], &passages(texts)))
}

/// The text, and the quotes with their lines, of an answer that nothing is wrong with.
#[track_caller]
fn check(answer: &str, texts: &[&str], text: &str, quotes: &[(&str, u32, u32)]) {
    let found = verified(answer, texts);
    let citations: Vec<_> =
        found.citations.iter().map(|c| (&*c.quote, c.start_line, c.end_line)).collect();
    assert_eq!((&*found.text, &citations[..], &found.objections[..]), (text, quotes, &[][..]));
}

/// One claim against one passage: whether it gets through.
#[track_caller]
fn check_claim(claim: &str, text: &str, is_supported: bool) {
    let found = verified(&format!("{claim} [1]"), &[text]);
    let expect = if is_supported { format!("{claim} [1]") } else { String::new() };
    assert_eq!(found.text, expect, "{found:?}");
    assert_eq!(found.citations.len(), usize::from(is_supported));
    assert_eq!(found.objections.is_empty(), is_supported);
}

const MAILBOX: &str = "# Mailboxes\n\nEvery mailbox is bounded.\nThe default capacity\nis 64 messages. A full\nmailbox refuses.";

#[test]
fn a_sentence_that_is_there_word_for_word_is_its_own_quote() {
    check(
        "The default capacity is 64 messages [1].",
        &[MAILBOX],
        "The default capacity is 64 messages [1].",
        &[("The default capacity\nis 64 messages", 4, 5)],
    );
    check(
        "Every mailbox is bounded. The default capacity is 64 messages. [1]",
        &[MAILBOX],
        "Every mailbox is bounded. The default capacity is 64 messages. [1]",
        &[("Every mailbox is bounded.\nThe default capacity\nis 64 messages.", 3, 5)],
    );
    let mut late = passage("a.md", "one two\nthree four");
    (late.start_line, late.end_line) = (41, 42);
    let found = verify("Three four [1]", &table(&[], &[late]));
    let quote = "three four".to_owned();
    let expect = Citation { source: "a.md".into(), start_line: 42, end_line: 42, quote };
    assert_eq!(found.citations, [expect]);
}

#[test]
fn case_markdown_and_white_space_make_no_difference() {
    check_claim("the DEFAULT is **64** `slots`", "The  default\n is _64_ slots.", true);
    check_claim("The default is 64 slots", "**The default** is `64` slots", true);
    check_claim("It isn’t bounded by −5", "It isn't bounded by -5", true);
}

#[test]
fn a_paraphrase_needs_three_in_five_of_its_words_in_one_sentence_which_is_the_quote() {
    // mailbox, capacity, default, messages, 64 are five; of which four, three, and two are there.
    let claim = "Mailbox capacity: default 64 messages";
    let quote = |text: &str| verified(&format!("{claim} [1]"), &[text]).citations;
    let cited = |text: &str| quote(text).into_iter().map(|c| c.quote).collect::<Vec<_>>();
    assert_eq!(
        cited("Yes. The mailbox holds 64 messages, default. No."),
        ["The mailbox holds 64 messages, default."]
    );
    assert_eq!(
        cited("A mailbox holds 64 messages. And capacity is the default."),
        ["A mailbox holds 64 messages."]
    );
    assert_eq!(cited("A mailbox holds 64. It counts messages."), Vec::<String>::new());
    // The sentence with the most of it is the quote, and the first of equals.
    assert_eq!(
        cited("64 messages mailbox! 64 messages mailbox default? 64 default messages mailbox."),
        ["64 messages mailbox default?"]
    );
}

#[test]
fn what_the_evidence_does_not_say_is_taken_out_with_an_objection() {
    let found = verified("Cats fly to Paris [1]. Every mailbox is bounded [1].", &[MAILBOX]);
    assert_eq!(
        found,
        Verified {
            text: "Every mailbox is bounded [1].".into(),
            citations: vec![Citation {
                source: "p0".into(),
                start_line: 3,
                end_line: 3,
                quote: "Every mailbox is bounded".into()
            }],
            objections: vec!["the cited evidence does not say: Cats fly to Paris".into()],
            admissions: vec![],
        }
    );
    let found = verified("Every mailbox is bounded.", &[MAILBOX]);
    assert_eq!(found.objections, ["no evidence is cited for: Every mailbox is bounded."]);
    let found = verified("Every mailbox is bounded [7].", &[MAILBOX]);
    assert_eq!(
        found.objections,
        ["there is no evidence [7], which is cited for: Every mailbox is bounded"]
    );
    assert_eq!(found.text, "");
}

#[test]
fn markers_are_read_in_every_usual_spelling() {
    let texts = ["One fact is known.", "Two facts are known."];
    let both = [("One fact is known", 1, 1), ("Two facts are known", 1, 1)];
    let plain = "One fact is known [1]. Two facts are known [2].";
    check(plain, &texts, plain, &both);
    check("One fact is known[1].  Two facts are known[2].", &texts, plain, &both);
    check(
        "One fact is known [1], two facts are known [2]!",
        &texts,
        "One fact is known [1], two facts are known [2]!",
        &both,
    );
    for marks in [
        "[1][2]",
        "[1, 2]",
        "[1,2]",
        "[1] [2]",
        "[1], [2]",
        "[1]; [2]",
        "[1] and [2]",
        "[2][1][2][9]",
    ] {
        let found = verified(&format!("One fact is known {marks}."), &texts);
        assert_eq!(found.text, "One fact is known [1].", "{marks}");
    }
    // Numbers are given anew, in the order of the answer, and the same quote has one.
    check(
        "Two facts are known [2]. One fact is known [1]. Two facts are known [2].",
        &texts,
        "Two facts are known [1]. One fact is known [2]. Two facts are known [1].",
        &[both[1], both[0]],
    );
    let same = ["One fact is known.", "One fact is known."];
    let found = verified("One fact is known [1][2].", &same);
    assert_eq!((&*found.text, found.citations.len()), ("One fact is known [1][2].", 2));
}

#[test]
fn brackets_that_are_no_markers_are_text() {
    for text in [
        "Use array[i] for access",
        "See the [link](url) there",
        "See the [1](url) there",
        "Mark it [x] when done",
        "An empty [] or [ ] box",
        "Count from [0] on up",
        "An open [1 bracket",
        "Call `array[1]` for access",
        "Call ``a[1] ` b[2]`` for access",
        "A [+1] or [-1] or [1.5]",
        "A number [99999999999] too long",
    ] {
        check_claim(text, &format!("Well. {text}. Good."), true);
    }
    check_claim("A tick ` alone", "A tick ` alone", true);
}

#[test]
fn lists_headings_and_paragraphs_keep_their_marks() {
    let texts = ["One fact is known.\nTwo facts are known.\nThree facts are known."];
    check(
        "1. One fact is known. [1]\n- Two facts are known [1].\n\n\n> Three facts are known [1]",
        &texts,
        "1. One fact is known. [1]\n\n- Two facts are known [2].\n\n> Three facts are known [3]",
        &[
            ("One fact is known.", 1, 1),
            ("Two facts are known", 2, 2),
            ("Three facts are known", 3, 3),
        ],
    );
    let found =
        verified("# Facts\n- Cats fly [1]\n- Two facts are known [1], and cats fly.", &texts);
    assert_eq!(found.text, "- Two facts are known [1].");
    assert_eq!(found.objections.len(), 3);
}

#[test]
fn a_quote_is_one_item_row_line_or_sentence() {
    #[track_caller]
    fn check(claim: &str, text: &str, quote: &str) {
        let found = verified(&format!("{claim} [1]"), &[text]);
        let quotes: Vec<_> = found.citations.iter().map(|c| &*c.quote).collect();
        assert_eq!(quotes, if quote.is_empty() { vec![] } else { vec![quote] });
    }
    let list =
        "Limits:\n- mailbox capacity 64\n- restart timeout 30 s\n  of an agent\n- three lanes";
    check("The capacity of a mailbox is 64", list, "- mailbox capacity 64");
    check("An agent has a restart timeout of 30 s", list, "- restart timeout 30 s\n  of an agent");
    check("The restart timeout of a mailbox is 64", list, "");
    let rows = "| what | how much |\n|---|---|\n| mailbox | capacity 64 |\n| agent | 30 s |";
    check("A mailbox has a capacity of 64", rows, "| mailbox | capacity 64 |");
    check("A mailbox has a capacity of 30 s", rows, "");
    let code = "```toml\nmailbox = 64\n\ntimeout = 30\n```\nA timeout mailbox.";
    check("A mailbox is 64", code, "mailbox = 64");
    check("A mailbox is 30", code, "");
    let heading = "## Mailbox capacity\nThe default is 64\n\nA timeout follows.";
    check("The mailbox capacity is 64", heading, "");
    let short = "See Dr. Smith, e.g. J. Smith vs. him, on mailbox capacity 64. Not so.";
    check("Smith knows that mailbox capacity is 64", short, &short[..short.len() - 8]);
}

#[test]
fn the_marks_around_a_quotation_are_part_of_it() {
    let quoted = "`Wait` is the **default** policy of a `Mailbox`";
    check(
        "Wait is the default policy of a Mailbox [1]",
        &["Read on.\n`Wait` is the **default** policy of a `Mailbox`"],
        "Wait is the default policy of a Mailbox [1]",
        &[(quoted, 2, 2)],
    );
}

#[test]
fn unicode_is_quoted_whole() {
    check_claim("İstanbul is İSTANBUL", "Well, i\u{307}stanbul is i\u{307}stanbul.", true);
    check("İi is known [1]", &["Yes: İi is known!"], "İi is known [1]", &[("İi is known", 1, 1)]);
    // Half of a character is not found: `İ` is an `i` with a dot.
    check_claim("that is a ki", "that is a kİ", false);
    check_claim("\u{307} is ok 7", "İ is ok 7", false);
    check(
        "STRAẞE und GRÖẞE [1]",
        &["Eine Straße und Größe."],
        "STRAẞE und GRÖẞE [1]",
        &[("Straße und Größe", 1, 1)],
    );
    check(
        "das 日本 ist schön 🦀 [1]",
        &["x\n„Das 日本 ist schön 🦀“"],
        "das 日本 ist schön 🦀 [1]",
        &[("Das 日本 ist schön 🦀", 2, 2)],
    );
    check_claim("東京は日本の首都", "はい。東京は日本の首都です。", true);
    check_claim("東京は中国の首都都市で寒い", "はい。日本は広い。", false);
}

/// An answer against results of tools.
#[track_caller]
fn check_computed(answer: &str, results: &[&str], text: &str) {
    let found = verify(answer, &table(results, &[]));
    assert_eq!((&*found.text, &found.citations[..]), (text, &[][..]), "{found:?}");
    assert_eq!(found.objections.is_empty(), !text.is_empty());
}

#[test]
fn what_a_tool_has_said_is_kept_without_a_citation() {
    let results = ["12% of 64 = 7.68"];
    check_computed("12% of 64 = 7.68 [1].", &results, "12% of 64 = 7.68.");
    check_computed(
        "So 12% of 64 = 7.68, which is little [1].",
        &results,
        "So 12% of 64 = 7.68, which is little.",
    );
    check_computed("12% of 64 [1].", &results, "12% of 64.");
    check_computed("12% of 64 = 7.6 [1].", &results, "");
    check_computed("12% of 64 = 7.68 and 13% of 64 = 9 [1].", &results, "");
    check_computed("of [1]", &results, "");
    check_computed("64 [1]", &results, "");
    check_computed("The sum is 84 [1].", &["84"], "The sum is 84.");
    check_computed("The sum is 84 of 85 [1].", &["84"], "");
    check_computed("The sum is 840 [1].", &["84"], "");
    check_computed("The sum is -84 [1].", &["84"], "");
    check_computed("Cats fly [1].", &[""], "");
    check_computed("Cats fly [1].", &["..."], "");
}

#[test]
fn a_passage_and_a_result_support_a_sentence_together() {
    let table =
        table(&["12% of 64 = 7.68"], &passages(&["The default capacity of a mailbox is 64."]));
    let answer = "12 percent of the default mailbox capacity (64) is 7.68 [1][2].";
    let found = verify(answer, &table);
    assert_eq!(found.text, "12 percent of the default mailbox capacity (64) is 7.68 [1].");
    assert_eq!(found.citations[0].quote, "The default capacity of a mailbox is 64.");
    // The passage must have its own part in it, and no number may come from nowhere.
    assert_eq!(
        verify("13 percent of the default mailbox capacity is 7.68 [1][2].", &table).text,
        ""
    );
    assert_eq!(verify("The moon is 12% of 64 or 7.68 cats [1][2].", &table).text, "");
}
