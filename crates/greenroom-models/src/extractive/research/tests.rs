//! Tests of `research`.

use super::*;
use greenroom_core::brief::{Brief, Finding};
use greenroom_core::message::ToolCall;
use greenroom_core::tool::EffectClass;

fn passage(source: &str, heading: &str, text: &str) -> Passage {
    Passage {
        source: source.into(),
        start_line: 1,
        end_line: 9,
        heading: vec![heading.into()],
        score: 1.0,
        text: text.into(),
        also_at: Vec::new(),
        ranks: None,
    }
}

fn library() -> Vec<Passage> {
    vec![
        passage(
            "luther.md",
            "Jon Luther",
            "Jon Luther is a manager. Jon Luther was chairman of Dunkin Brands.",
        ),
        passage(
            "dunkin.md",
            "Dunkin Brands",
            "Dunkin Brands is a holding company of restaurants. It is headquartered in Canton, Massachusetts.",
        ),
        passage("six.md", "Six Flags", "Six Flags is a chain of parks."),
        passage(
            "mailbox.md",
            "Mailbox",
            "A mailbox is bounded. Since version 2, the default mailbox capacity is 64 messages.",
        ),
    ]
}

/// Passages that have a word of the query, those with most words first.
fn search(query: &str) -> Vec<Passage> {
    let words: Vec<String> = query.split(' ').map(str::to_lowercase).collect();
    let n_found = |passage: &Passage| {
        let text = format!("{} {}", passage.heading.join(" "), passage.text).to_lowercase();
        words.iter().filter(|word| text.contains(word.as_str())).count()
    };
    let mut found: Vec<Passage> =
        library().into_iter().filter(|passage| n_found(passage) > 0).collect();
    found.sort_by_key(|passage| std::cmp::Reverse(n_found(passage)));
    found.truncate(1);
    found
}

fn tools() -> Vec<ToolSpec> {
    let (name, description, parameters) = (SEARCH.to_owned(), String::new(), json!({}));
    vec![ToolSpec { name, description, parameters, effect: EffectClass::ReadOnly }]
}

/// Plays a whole conversation; the queries of every round, and the answer.
fn conversation(question: &str) -> (Vec<Vec<String>>, String) {
    let brief = ResearchBrief { question: question.into(), context: Vec::new() };
    let mut since = Vec::new();
    let mut rounds = Vec::new();
    for _ in 0..=ROUNDS_MAX {
        let calls = match research(&brief, &since, &tools()) {
            Decision::Say(text) => return (rounds, text),
            Decision::Call(calls) => calls,
        };
        let queries: Vec<String> = calls
            .iter()
            .map(|(_, arguments)| arguments["query"].as_str().unwrap().to_owned())
            .collect();
        let tool_calls = calls
            .into_iter()
            .map(|(name, arguments)| ToolCall { id: "c".into(), name, arguments })
            .collect();
        since.push(Message::Assistant { text: String::new(), reasoning: None, tool_calls });
        for query in &queries {
            let outcome = ToolOutcome::Ok(json!({ "passages": search(query) }));
            since.push(Message::Tool { call: "c".into(), name: SEARCH.into(), outcome });
        }
        rounds.push(queries);
    }
    panic!("the researcher does not come to an end: {rounds:?}");
}

#[track_caller]
fn check(question: &str, rounds: &[&[&str]], answer: &str) {
    let (found_rounds, found_answer) = conversation(question);
    assert_eq!(
        (found_rounds, found_answer.as_str()),
        (
            rounds
                .iter()
                .map(|queries| queries.iter().map(|query| (*query).to_owned()).collect())
                .collect(),
            answer
        )
    );
}

#[test]
fn a_question_that_one_passage_answers_takes_one_search() {
    check(
        "What is the default mailbox capacity?",
        &[&["default mailbox capacity"]],
        "the default mailbox capacity is 64 messages.",
    );
}

#[test]
fn a_name_in_a_passage_is_followed() {
    check(
        "In what city is the company headquartered whose chairman was Jon Luther?",
        &[
            &["city company headquartered chairman Jon Luther"],
            &["Dunkin Brands city company headquartered"],
        ],
        "Jon Luther was chairman of Dunkin Brands. \
         It is headquartered in Canton, Massachusetts. \
         Dunkin Brands is a holding company of restaurants.",
    );
}

#[test]
fn what_the_sources_do_not_have_is_an_empty_answer() {
    check("Who composed the symphony?", &[&["composed symphony"]], "");
}

#[test]
fn a_search_that_brings_nothing_new_is_the_last() {
    let question =
        "In what city is the company headquartered whose chairman was Jon Luther?".into();
    let brief = ResearchBrief { question, context: Vec::new() };
    let round = |query: &str, passages: &[Passage]| {
        let arguments = json!({ "query": query });
        let call = ToolCall { id: "c".into(), name: SEARCH.into(), arguments };
        let outcome = ToolOutcome::Ok(json!({ "passages": passages }));
        [
            Message::Assistant { text: String::new(), reasoning: None, tool_calls: vec![call] },
            Message::Tool { call: "c".into(), name: SEARCH.into(), outcome },
        ]
    };
    let found = &library()[..1];
    let mut since = round("Jon Luther", found).to_vec();
    assert!(matches!(research(&brief, &since, &tools()), Decision::Call(_)));
    since.extend(round("Luther", found));
    assert!(matches!(research(&brief, &since, &tools()), Decision::Say(_)));
}

#[test]
fn without_a_tool_the_answer_is_given_at_once() {
    let brief = ResearchBrief { question: "What is a mailbox?".into(), context: Vec::new() };
    assert_eq!(research(&brief, &[], &[]), Decision::Say(String::new()));
}

#[test]
fn names_that_earlier_tasks_found_are_searched_for_as_well() {
    let finding = Finding {
        task: "t1".into(),
        question: "Who was chairman?".into(),
        text: "He was chairman of Dunkin Brands.".into(),
        evidence: Vec::new(),
    };
    let question = "Where is the company headquartered?".to_owned();
    let brief = ResearchBrief { question, context: vec![finding] };
    let query = |query: &str| (SEARCH.to_owned(), json!({ "query": query }));
    assert_eq!(
        research(&brief, &[], &tools()),
        Decision::Call(vec![
            query("company headquartered"),
            query("Dunkin Brands company headquartered")
        ])
    );
    assert!(matches!(Brief::Research(brief).to_message(), Message::User { .. }));
}
