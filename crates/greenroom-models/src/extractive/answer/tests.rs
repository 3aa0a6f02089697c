//! Tests of `answer`.

use super::*;
use greenroom_core::brief::Gap;

fn evidence(n: u32, heading: &str, text: &str) -> Evidence {
    let heading = (!heading.is_empty()).then(|| heading.to_owned()).into_iter().collect();
    Evidence {
        n,
        source: format!("docs/page{n}.md:1-9"),
        computed: false,
        heading,
        text: text.into(),
    }
}

fn finding(question: &str, text: &str, evidence: &[u32]) -> Finding {
    Finding {
        task: "t1".into(),
        question: question.into(),
        text: text.into(),
        evidence: evidence.to_vec(),
    }
}

fn brief(findings: Vec<Finding>) -> AnswerBrief {
    AnswerBrief {
        question: "?".into(),
        conversation: Vec::new(),
        findings,
        evidence: vec![
            evidence(
                1,
                "Mailboxes",
                "# Mailboxes\n\nA **mailbox** holds the messages of one agent. Every mailbox is bounded. \
                 The default capacity of a mailbox is 64 messages.\n\nWhen it is full, it does one of these:\n\n\
                 - `wait`: the sender waits for room\n- `drop`: the oldest message is dropped\n",
            ),
            evidence(
                2,
                "Runs",
                "A run is one goal from submission to outcome. A run may take 10 minutes. Its budget is \
                 finite, because nothing is unbounded by omission.",
            ),
            Evidence { computed: true, ..evidence(3, "", "12% of 64 = 7.68") },
        ],
        missing: Vec::new(),
        objections: Vec::new(),
    }
}

#[track_caller]
fn check(questions: &[&str], expect: &str) {
    let findings = questions.iter().map(|question| finding(question, "", &[1, 2])).collect();
    assert_eq!(answer(&brief(findings)), expect);
}

#[test]
fn a_question_is_answered_by_the_sentences_that_fit() {
    check(
        &["What is the default capacity of a mailbox?"],
        "The default capacity of a mailbox is 64 messages. [1]",
    );
    check(&["What is a run?"], "A run is one goal from submission to outcome. [2]");
    check(
        &["Why is the budget of a run finite?"],
        "A run may take 10 minutes. [2] Its budget is finite, because nothing is unbounded by omission. [2]",
    );
    check(
        &["What happens when a mailbox is full?"],
        "When it is full, it does one of these: [1]\n`wait`: the sender waits for room [1]\n\
         `drop`: the oldest message is dropped [1]",
    );
}

#[test]
fn what_the_sources_do_not_say_is_not_said() {
    check(&["Who founded the company?"], NO_ANSWER);
    check(&["What is the capacity of the dashboard?"], NO_ANSWER);
    check(&["How many agents are there?"], NO_ANSWER);
    check(&[""], NO_ANSWER);
}

#[test]
fn every_part_has_its_paragraph_and_gaps_are_named() {
    check(
        &["What is a run?", "Who founded the company?", "What is a mailbox?"],
        "A run is one goal from submission to outcome. [2]\n\n\
         A mailbox holds the messages of one agent. [1]\n\n\
         Not found in the sources: Who founded the company?",
    );
    let mut gap = brief(vec![finding("What is a run?", "", &[2])]);
    gap.missing = vec![Gap { question: "Who is it? Really.".into(), why: "not found".into() }];
    assert_eq!(
        answer(&gap),
        "A run is one goal from submission to outcome. [2]\n\nNot found in the sources: Really.",
        "one sentence, so that it is read as an admission"
    );
}

#[test]
fn results_of_tools_are_stated_as_they_are() {
    let computed = brief(vec![finding("What is 12% of 64?", "12% of 64 = 7.68", &[3])]);
    assert_eq!(answer(&computed), "12% of 64 = 7.68 [3]");
}

#[test]
fn a_sentence_that_was_found_is_preferred_and_one_that_was_objected_to_is_dropped() {
    let found = "Every mailbox is bounded.";
    let mut brief = brief(vec![finding("How is the capacity of a mailbox bounded?", found, &[1])]);
    let before = answer(&brief);
    assert!(before.contains("Every mailbox is bounded. [1]"), "{before}");
    brief.objections = vec!["the cited evidence does not say: Every mailbox is bounded.".into()];
    let after = answer(&brief);
    assert!(!after.contains("bounded") && after.contains("capacity"), "{after}");
}

#[test]
fn of_two_sentences_the_one_that_the_researcher_found_is_said() {
    let port = |n: u32, port: u32| evidence(n, "", &format!("The default port is {port}."));
    let of = |found: &str| {
        let findings = vec![finding("What is the default port?", found, &[1, 2])];
        answer(&AnswerBrief { evidence: vec![port(1, 80), port(2, 90)], ..brief(findings) })
    };
    assert_eq!(of(""), "The default port is 80. [1]");
    assert_eq!(of("The default port is 90."), "The default port is 90. [2]");
}

#[test]
fn a_sentence_is_said_once() {
    check(
        &["What is a run?", "What is a run?"],
        "A run is one goal from submission to outcome. [2]",
    );
}
