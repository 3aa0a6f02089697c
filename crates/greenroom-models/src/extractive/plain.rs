//! A plain agent: no brief, only a user's words, perhaps tools, perhaps a shape for the result.

use std::collections::BTreeSet;

use greenroom_core::message::{Message, ToolOutcome};
use greenroom_core::model::ChatRequest;
use greenroom_core::tool::ToolSpec;
use serde_json::{Map, Value};

use super::Decision;
use super::corpus::{Corpus, Source};
use super::selection::{Wanted, select};
use super::text::{Lexicon, Question, capped, sentence_ends};

pub(super) mod arguments;
mod material;

use material::Material;

/// A user's words are read up to this many bytes.
const TEXT_LEN_MAX: usize = 200_000;
/// What fills parameters is looked for in this many bytes.
const MATERIAL_LEN_MAX: usize = 8_000;

/// What is said when there is nothing to answer from.
const NOTHING_GIVEN: &str =
    "I only answer from documents and tool results that I am given, and none of them answers this.";

/// Decides the next turn of a plain agent: one tool call, then its result.
pub(super) fn plain(text: &str, since: &[Message], request: &ChatRequest) -> Decision {
    let text = capped(text, TEXT_LEN_MAX);
    let results: Vec<&ToolOutcome> = since
        .iter()
        .filter_map(|message| match message {
            Message::Tool { outcome, .. } => Some(outcome),
            _ => None,
        })
        .collect();
    if results.is_empty() && !request.tools.is_empty() {
        match call(text, &request.tools) {
            Some(call) => return Decision::Call(vec![call]),
            None if request.output.is_none() && !has_context(text) => {
                return Decision::Say(cannot_call(&request.tools));
            }
            None => {}
        }
    }
    let values: Vec<Value> = results.iter().filter_map(|outcome| ok(outcome)).collect();
    if let (Some(ToolOutcome::Error(error)), true) = (results.last(), values.is_empty()) {
        return Decision::Say(format!("The tool failed: {}", error.message));
    }
    let said = match values.last() {
        Some(value) => spoken(value),
        None => from_context(text).unwrap_or_default(),
    };
    let Some(output) = &request.output else {
        return Decision::Say(if said.is_empty() { NOTHING_GIVEN.to_owned() } else { said });
    };
    let source = if said.is_empty() { capped(text, MATERIAL_LEN_MAX) } else { &said };
    let mut material = Material::new(source, values);
    Decision::Say(match material.fill(&output.schema) {
        Ok(value) => value.to_string(),
        Err(field) => format!("I cannot fill {field:?} of {:?} from what I am given.", output.name),
    })
}

fn ok(outcome: &ToolOutcome) -> Option<Value> {
    match outcome {
        ToolOutcome::Ok(value) => Some(value.clone()),
        ToolOutcome::Error(_) => None,
    }
}

/// The tool whose name, description and parameters share most words with the text, among those whose
/// arguments the text fills.
fn call(text: &str, tools: &[ToolSpec]) -> Option<(String, Value)> {
    let text = capped(text, MATERIAL_LEN_MAX);
    let mut lexicon = Lexicon::new();
    let asked: BTreeSet<_> = lexicon.terms(text).into_iter().collect();
    let mut best: Option<(usize, &ToolSpec, Map<String, Value>)> = None;
    for tool in tools {
        let name: BTreeSet<_> = lexicon.terms(&tool.name).into_iter().collect();
        let described: BTreeSet<_> = lexicon.terms(&tool.description).into_iter().collect();
        let parameters = arguments::names(&tool.parameters).join(" ");
        let parameters: BTreeSet<_> = lexicon.terms(&parameters).into_iter().collect();
        let shared = |terms: &BTreeSet<_>| asked.intersection(terms).count();
        let mut fit = 3 * shared(&name) + 2 * shared(&described) + shared(&parameters);
        if arguments::takes_arithmetic(&tool.parameters, text) {
            fit += 5;
        }
        if best.as_ref().is_none_or(|(best, ..)| fit > *best)
            && (fit > 0 || tools.len() == 1)
            && let Some(arguments) = arguments::filled(&tool.name, &tool.parameters, text)
        {
            best = Some((fit, tool, arguments));
        }
    }
    best.map(|(_, tool, arguments)| (tool.name.clone(), Value::Object(arguments)))
}

fn cannot_call(tools: &[ToolSpec]) -> String {
    let names: Vec<_> = tools.iter().take(10).map(|tool| tool.name.as_str()).collect();
    format!("I cannot call any of these tools with what I am given: {}.", names.join(", "))
}

/// A tool's result in words: its text when it has one, a single value, or its JSON.
fn spoken(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(fields) => {
            let text = ["text", "answer", "result", "summary", "message"];
            let spoken = text.iter().find_map(|name| fields.get(*name));
            match spoken.or_else(|| fields.values().next().filter(|_| fields.len() == 1)) {
                Some(Value::String(text)) => text.clone(),
                Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
                _ => value.to_string(),
            }
        }
        _ => value.to_string(),
    }
}

fn has_context(text: &str) -> bool {
    parted(text).is_some()
}

/// The sentences of the text that answer the question in it.
fn from_context(text: &str) -> Option<String> {
    let (question, context) = parted(text)?;
    let sources =
        context.iter().map(|text| Source { id: 0, heading: String::new(), title: "", text });
    let mut corpus = Corpus::new(sources);
    let question = Question::new(question, &mut corpus.lexicon);
    let wanted = Wanted { n_max: 2, n_items_max: 5, is_allowed: &|_| true, bonus: &|_| 0.0 };
    let chosen = select(&corpus, &question, &wanted).chosen;
    let sentences: Vec<_> =
        chosen.iter().map(|&index| corpus.entries[index].unit.text.as_str()).collect();
    (!sentences.is_empty()).then(|| sentences.join(" "))
}

/// The question, which is the last sentence with a question mark, and the text around it.
fn parted(text: &str) -> Option<(&str, [&str; 2])> {
    let mark = text.rfind('?')? + 1;
    let line = text[..mark].rfind('\n').map_or(0, |i| i + 1);
    let ends = sentence_ends(&text[line..mark]);
    let start = line + ends.iter().rev().nth(1).copied().unwrap_or(0);
    let context = [&text[..start], &text[mark..]];
    let n_chars = context.iter().map(|text| text.trim().len()).sum::<usize>();
    (n_chars > 20).then_some((&text[start..mark], context))
}

#[cfg(test)]
mod tests;
