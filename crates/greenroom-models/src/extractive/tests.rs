//! Tests of `extractive`.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use greenroom_core::brief::{AgentCard, AnswerBrief, Exchange, PlanBrief, ResearchBrief};
use greenroom_core::report::Report;
use greenroom_core::retriever::Passage;
use greenroom_core::router::{EvidenceTable, Plan, PlannedTask, verify};
use proptest::prelude::*;
use serde_json::json;

use super::text::normalised;
use super::*;

fn request(messages: Vec<Message>) -> ChatRequest {
    ChatRequest { messages: Arc::new(messages), ..ChatRequest::default() }
}

/// The deltas and the reply. The model never waits, so one poll per event is enough.
fn events(request: ChatRequest) -> (Vec<String>, ChatReply) {
    let mut stream = Extractive::new().stream(request);
    let mut context = Context::from_waker(Waker::noop());
    let mut deltas = Vec::new();
    while let Poll::Ready(Some(event)) = stream.as_mut().poll_next(&mut context) {
        match event.unwrap() {
            ChatEvent::TextDelta(delta) => deltas.push(delta),
            ChatEvent::Finished(reply) => {
                assert!(matches!(stream.as_mut().poll_next(&mut context), Poll::Ready(None)));
                return (deltas, reply);
            }
            other => panic!("unexpected: {other:?}"),
        }
    }
    panic!("the stream ended without a reply: {deltas:?}");
}

fn passage((i, text): (usize, &String)) -> Passage {
    Passage {
        source: format!("page{i}.md"),
        start_line: 1,
        end_line: text.lines().count().max(1) as u32,
        heading: vec!["Page".into()],
        score: 1.0,
        text: text.clone(),
        also_at: Vec::new(),
        ranks: None,
    }
}

/// The brief of a writer whose researcher found these passages, and the table to verify against.
fn answer_brief(question: &str, texts: &[String]) -> (Brief, EvidenceTable) {
    let task = PlannedTask::new("t1", "research", question);
    let report =
        Report { passages: texts.iter().enumerate().map(passage).collect(), ..Report::default() };
    let (table, findings) = EvidenceTable::gather([(&task, &report)]);
    let brief = Brief::Answer(AnswerBrief {
        question: question.to_owned(),
        conversation: Vec::new(),
        findings,
        evidence: table.evidence(),
        missing: Vec::new(),
        objections: Vec::new(),
    });
    (brief, table)
}

fn answered(question: &str, texts: &[String]) -> ChatReply {
    let (brief, _) = answer_brief(question, texts);
    events(request(vec![brief.to_message()])).1
}

#[test]
fn the_deltas_are_the_text_and_the_reply_is_counted() {
    let (brief, _) =
        answer_brief("What is a slot?", &["A slot is the record of one agent.".into()]);
    let message = brief.to_message();
    let n_chars = match &message {
        Message::User { text, .. } => text.chars().count() as u64,
        _ => 0,
    };
    let (deltas, reply) = events(request(vec![message]));
    assert_eq!(deltas, ["A ", "slot ", "is ", "the ", "record ", "of ", "one ", "agent. ", "[1]"]);
    assert_eq!(reply.text, "A slot is the record of one agent. [1]");
    let usage = Usage {
        model_calls: 1,
        input_tokens: n_chars.div_ceil(4),
        output_tokens: 10,
        ..Usage::default()
    };
    assert_eq!((reply.finish, reply.usage), (FinishReason::Stop, usage));
}

#[test]
fn calls_have_ids_of_their_own() {
    let question = "Where is the company headquartered whose chairman was Jon Luther?";
    let brief = Brief::Research(ResearchBrief { question: question.into(), context: Vec::new() });
    let spec = greenroom_core::tool::ToolSpec {
        name: "search".into(),
        description: String::new(),
        parameters: json!({}),
        effect: greenroom_core::tool::EffectClass::ReadOnly,
    };
    let tools: Arc<[_]> = vec![spec].into();
    let mut messages = vec![brief.to_message()];
    let (_, first) = events(ChatRequest { tools: Arc::clone(&tools), ..request(messages.clone()) });
    assert_eq!(first.finish, FinishReason::ToolCalls);
    assert_eq!(first.tool_calls[0].id.as_str(), "call_1");
    messages.push(Message::Assistant {
        text: String::new(),
        reasoning: None,
        tool_calls: first.tool_calls,
    });
    let text = "Jon Luther was chairman of Dunkin Brands.";
    let passage =
        json!({ "source": "a.md", "start_line": 1, "end_line": 1, "score": 1.0, "text": text });
    messages.push(Message::Tool {
        call: "call_1".into(),
        name: "search".into(),
        outcome: greenroom_core::message::ToolOutcome::Ok(json!({ "passages": [passage] })),
    });
    let (_, second) = events(ChatRequest { tools, ..request(messages) });
    assert_eq!(second.tool_calls[0].id.as_str(), "call_2");
}

#[test]
fn a_reply_is_cut_at_its_limit() {
    let (brief, _) =
        answer_brief("What is a slot?", &["A slot is the record of one agent.".into()]);
    let limited = ChatRequest { output_tokens_max: Some(2), ..request(vec![brief.to_message()]) };
    let (_, reply) = events(limited);
    assert_eq!((reply.text.as_str(), reply.finish), ("A slot i", FinishReason::Length));
}

#[test]
fn large_input_is_read_up_to_a_limit() {
    let long = "What is a slot and how big is it; why? (".repeat(30_000);
    let plan = Brief::Plan(PlanBrief {
        question: long.clone(),
        conversation: Vec::new(),
        agents: vec![AgentCard {
            role: "research".into(),
            description: String::new(),
            tools: Vec::new(),
        }],
        tasks_max: 16,
    });
    let (_, reply) = events(request(vec![plan.to_message()]));
    let plan: Plan = serde_json::from_str(&reply.text).unwrap();
    assert!(plan.tasks.len() <= 16 && reply.text.len() < 20_000);
    let texts = vec![long.clone(); 30];
    let reply = answered(&long, &texts);
    assert!(reply.text.len() < 10_000);
    events(request(vec![Message::user(long)]));
}

/// Where the next ` [n]` outside code spans starts, how long it is, and its number.
fn next_citation(text: &str) -> Option<(usize, usize, usize)> {
    let is_code = |at: usize| text[..at].matches('`').count() % 2 == 1;
    let marks = text.match_indices(" [").filter(|(start, _)| !is_code(*start));
    let mut marks = marks.map(|(start, mark)| (start, mark.len()));
    marks.find_map(|(start, len)| {
        let inner = &text[start + len..];
        let digits = &inner[..inner.find(']')?];
        Some((start, len + digits.len() + 1, digits.parse().ok()?))
    })
}

/// The sentences of an answer with the number that each cites.
fn cited(answer: &str) -> Vec<(String, usize)> {
    let mut cited = Vec::new();
    let mut rest = answer;
    while let Some((start, len, n)) = next_citation(rest) {
        cited.push((rest[..start].trim().to_owned(), n));
        rest = rest[start + len..].trim_start();
    }
    let is_admission = rest.starts_with("Not found in the sources:")
        || rest == "The sources do not answer this question.";
    assert!(rest.is_empty() || is_admission, "uncited: {rest:?}");
    cited
}

const WORDS: &[&str] = &[
    "slot", "mailbox", "capacity", "default", "is", "a", "the", "64", "`run`", "**bold**", "_it_",
    "agent", "restart", "[1]", "[x](y)", "Dr.", "e.g.", "é", "雨", "x*y", "a_b", "why", "`a[1]`",
];

const SPACES: &[&str] = &[
    " ", " ", " ", ". ", "? ", "\n", "\n\n", "\n- ", "\n| ", " | ", "\n# ", "\n> ", "\n```\n", ": ",
];

fn passage_text() -> impl Strategy<Value = String> {
    let word = (proptest::sample::select(WORDS), proptest::sample::select(SPACES));
    let words = proptest::collection::vec(word, 0..60);
    words.prop_map(|words| words.into_iter().flat_map(|(word, space)| [word, space]).collect())
}

/// A question of a few words that most passages have.
fn question_text() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(&WORDS[..8]), 1..4)
        .prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn every_sentence_stands_in_what_it_cites(
        question in question_text(),
        texts in proptest::collection::vec(passage_text(), 0..5),
    ) {
        let (brief, table) = answer_brief(&question, &texts);
        let (_, reply) = events(request(vec![brief.to_message()]));
        for (sentence, n) in cited(&reply.text) {
            let passage = normalised(&texts[n - 1]);
            prop_assert!(passage.contains(&normalised(&sentence)), "{sentence:?} is not in {passage:?}");
        }
        let verified = verify(&reply.text, &table);
        prop_assert_eq!(verified.objections, Vec::<String>::new(), "{}", reply.text);
    }

    #[test]
    fn the_same_request_gets_the_same_reply(question in question_text(), text in passage_text()) {
        let texts = [text];
        prop_assert_eq!(answered(&question, &texts), answered(&question, &texts));
    }

    #[test]
    fn no_text_is_too_strange(question in "\\PC{0,80}", text in "(\\PC|\n){0,200}") {
        let exchange = Exchange { question: text.clone(), answer: text.clone() };
        let description = text.clone();
        let research = AgentCard { role: "research".into(), description, tools: Vec::new() };
        let plan = Brief::Plan(PlanBrief {
            question: question.clone(),
            conversation: vec![exchange],
            agents: vec![research],
            tasks_max: 3,
        });
        let (_, reply) = events(request(vec![plan.to_message()]));
        let plan: Plan = serde_json::from_str(&reply.text).unwrap();
        prop_assert_eq!(plan.check(&["research".into()], 3), Ok(()));
        prop_assert!(!answered(&question, std::slice::from_ref(&text)).text.is_empty());
        events(request(vec![Message::user(format!("{text}\n{question}?"))]));
    }
}
