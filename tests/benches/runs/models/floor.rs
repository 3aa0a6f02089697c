//! The loop that people write by hand, done well: one client with timeouts, typed requests and chunks, a stream of lines,
//! a match on the tool's name. No supervision, journal, budget, limits or retries.
//!
//! It sends what the agents send, in as many bytes: what their tools are, the shape of the plan, briefs of their length.
//! It computes with the same tool.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use greenroom_core::router::Plan;
use greenroom_core::tool::{DynTool as _, ToolContext, ToolSpec, schema_of};
use greenroom_testkit::provider::Certificate;
use greenroom_tools::CalculateTool;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::provider::{ANSWER, PASSAGE, QUESTION, SPECIAL, TEAM, TELL, TOKENS};
use super::work::{INSTRUCTIONS, Work};
use crate::measure::{millis_since, now};

/// The most turns of a run.
const TURNS_MAX: usize = 8;

pub(crate) struct Hand {
    client: reqwest::Client,
    url: String,
    calculate: Value,
    search: Value,
    plan: Value,
}

fn calculate() -> Value {
    let ToolSpec { name, description, parameters, .. } = CalculateTool.spec();
    tool(&name, &description, &parameters)
}

fn search() -> Value {
    let query =
        json!({ "description": "What to look for: words or a question.", "type": "string" });
    let top_k = json!({
        "description": "The most passages to return.", "format": "uint", "minimum": 0, "type": ["integer", "null"],
    });
    let parameters = json!({
        "description": "The arguments of the `search` tool.", "properties": { "query": query, "top_k": top_k },
        "required": ["query"], "title": "SearchArguments", "type": "object",
    });
    let description =
        "Searches the documents. Returns passages, best first, each with its source and lines.";
    tool("search", description, &parameters)
}

fn tool(name: &str, description: &str, parameters: &Value) -> Value {
    let function = json!({ "name": name, "description": description, "parameters": parameters });
    json!([{ "type": "function", "function": function }])
}

/// The shape of a plan, as it is asked for.
fn plan() -> Value {
    let schema = json!({ "name": "Plan", "schema": schema_of::<Plan>(), "strict": false });
    json!({ "type": "json_schema", "json_schema": schema })
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: &'a [Message],
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<&'a Value>,
    stream: bool,
    stream_options: Options,
}

#[derive(Serialize)]
struct Options {
    include_usage: bool,
}

#[derive(Serialize, Clone)]
#[serde(tag = "role", rename_all = "lowercase")]
enum Message {
    System { content: String },
    User { content: String },
    Assistant { content: Option<String>, tool_calls: Vec<Call> },
    Tool { tool_call_id: String, content: String },
}

#[derive(Serialize, Clone, Default)]
struct Call {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function,
}

#[derive(Serialize, Deserialize, Clone, Default)]
struct Function {
    #[serde(default)]
    name: String,
    #[serde(default)]
    arguments: String,
}

#[derive(Deserialize)]
struct Chunk {
    choices: Vec<Choice>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Delta,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<String>,
    #[serde(default)]
    tool_calls: Vec<Piece>,
}

#[derive(Deserialize)]
struct Piece {
    index: usize,
    id: Option<String>,
    function: Function,
}

#[derive(Deserialize)]
struct Usage {
    total_tokens: u64,
}

#[derive(Deserialize)]
struct Query {
    query: String,
}

#[derive(Default)]
struct Reply {
    text: String,
    calls: Vec<Call>,
    n_tokens: u64,
    first_ms: Option<f64>,
}

impl Hand {
    pub(crate) fn new(url: &str) -> Self {
        // Only the first one can be installed, and any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let certificate = reqwest::Certificate::from_pem(Certificate::Sound.pem().as_bytes());
        let client = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(Duration::from_secs(5))
            .read_timeout(Duration::from_secs(60))
            .timeout(Duration::from_secs(600))
            .tls_certs_only([certificate.expect("a certificate")])
            .build();
        Self {
            client: client.expect("a client"),
            url: format!("{url}/chat/completions"),
            calculate: calculate(),
            search: search(),
            plan: plan(),
        }
    }

    async fn reply(
        &self,
        messages: &[Message],
        tools: Option<&Value>,
        response_format: Option<&Value>,
    ) -> Reply {
        let stream_options = Options { include_usage: true };
        let body =
            Body { model: "m", messages, tools, response_format, stream: true, stream_options };
        let body = serde_json::to_vec(&body).expect("JSON");
        let begun = now();
        let sent = self.client.post(&self.url).header("content-type", "application/json");
        let sent = sent.body(body).send().await.expect("a response");
        let mut bytes = sent.error_for_status().expect("it is well").bytes_stream();
        let (mut open, mut reply) = (Vec::new(), Reply::default());
        while let Some(piece) = bytes.next().await {
            open.extend_from_slice(&piece.expect("a piece"));
            let mut begin = 0;
            while let Some(len) = open[begin..].iter().position(|byte| *byte == b'\n') {
                let line = &open[begin..begin + len];
                begin += len + 1;
                let Some(data) = line.strip_prefix(b"data: ") else { continue };
                if data == b"[DONE]" {
                    continue;
                }
                reply.add(serde_json::from_slice(data).expect("JSON"));
                if reply.first_ms.is_none() && !reply.text.is_empty() {
                    reply.first_ms = Some(millis_since(begun));
                }
            }
            open.drain(..begin);
        }
        assert!(reply.n_tokens > 0, "it was told what it cost");
        reply
    }

    async fn run(&self, mut messages: Vec<Message>, tools: &Value) -> String {
        for _ in 0..TURNS_MAX {
            let Reply { text, calls, .. } = self.reply(&messages, Some(tools), None).await;
            if calls.is_empty() {
                return text;
            }
            let results = join_all(calls.iter().map(result)).await;
            let content = (!text.is_empty()).then_some(text);
            messages.push(Message::Assistant { content, tool_calls: calls });
            messages.extend(results);
        }
        panic!("it goes on and on");
    }
}

async fn result(call: &Call) -> Message {
    let Function { name, arguments } = &call.function;
    let content = match name.as_str() {
        "calculate" => {
            let arguments = serde_json::from_str(arguments).expect("JSON");
            let context = ToolContext::new(call.id.as_str().into(), "");
            let computed = CalculateTool.call_json(arguments, context).await;
            computed.expect("it can be computed").to_string()
        }
        "search" => {
            let Query { query } = serde_json::from_str(arguments).expect("JSON");
            assert!(PASSAGE.contains(&query));
            let passage = json!({
                "end_line": 1, "score": 1.0, "source": "docs/mailbox.md", "start_line": 1, "text": PASSAGE,
            });
            json!({ "passages": [passage] }).to_string()
        }
        other => panic!("there is no {other}"),
    };
    Message::Tool { tool_call_id: call.id.clone(), content }
}

impl Reply {
    fn add(&mut self, chunk: Chunk) {
        self.n_tokens = chunk.usage.map_or(self.n_tokens, |usage| usage.total_tokens);
        for delta in chunk.choices.into_iter().map(|choice| choice.delta) {
            self.text.push_str(&delta.content.unwrap_or_default());
            for piece in delta.tool_calls {
                if self.calls.len() <= piece.index {
                    self.calls
                        .resize(piece.index + 1, Call { kind: "function", ..Call::default() });
                }
                let call = &mut self.calls[piece.index];
                call.id.push_str(&piece.id.unwrap_or_default());
                call.function.name.push_str(&piece.function.name);
                call.function.arguments.push_str(&piece.function.arguments);
            }
        }
    }
}

fn asked(content: String) -> Vec<Message> {
    vec![Message::System { content: INSTRUCTIONS.to_owned() }, Message::User { content }]
}

impl Work for Hand {
    async fn run(&self) {
        let asked = vec![Message::User { content: QUESTION.to_owned() }];
        assert_eq!(self.run(asked, &self.calculate).await, ANSWER);
    }

    async fn stream(&self) -> f64 {
        let asked = [Message::User { content: TELL.to_owned() }];
        let reply = self.reply(&asked, Some(&self.calculate), None).await;
        assert_eq!(reply.text.split_whitespace().count(), TOKENS);
        reply.first_ms.expect("there was a first token")
    }

    async fn team(&self) {
        let agents = json!([
            { "role": "research", "description": "Finds answers in the documents (docs: Passages that a test wrote.)." },
            { "role": "retrieval", "description": "Returns passages for a query, unread." },
        ]);
        let brief = json!({ "brief": "plan", "question": TEAM, "agents": agents, "tasks_max": 16 });
        let plan = self.reply(&asked(brief.to_string()), None, Some(&self.plan)).await.text;
        let plan: Plan = serde_json::from_str(&plan).expect("a plan");
        let each = plan.tasks.into_iter();
        let each = each.map(|task| self.run(asked(task.question), &self.search));
        let found = join_all(each).await;
        let findings: Vec<_> = found
            .iter()
            .map(|text| json!({ "question": SPECIAL, "text": text, "evidence": [1] }))
            .collect();
        let evidence = json!([{ "n": 1, "source": "docs/mailbox.md:1-1", "text": PASSAGE }]);
        let brief = json!({ "question": TEAM, "findings": findings, "evidence": evidence });
        let written = self.reply(&asked(brief.to_string()), None, None).await.text;
        assert_eq!(written, format!("{PASSAGE} [1]"));
    }
}
