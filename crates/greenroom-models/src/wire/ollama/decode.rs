//! The lines of a streamed chat, until the one that says `done`.

use greenroom_core::model::{ChatEvent, ChatReply, FinishReason};
use serde::Deserialize;
use serde_json::Value;

use crate::wire::assembly::{Assembly, CallPiece, Counts};
use crate::wire::json::{count, parse};
use crate::wire::{Dialect, Fault, Step, failure, spelling};

#[derive(Debug, Deserialize)]
struct Line {
    #[serde(default)]
    message: Option<Message>,
    #[serde(default)]
    done: bool,
    #[serde(default)]
    done_reason: Option<String>,
    #[serde(default)]
    prompt_eval_count: Option<Value>,
    #[serde(default)]
    eval_count: Option<Value>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Message {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    thinking: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<Call>>,
}

#[derive(Debug, Deserialize)]
struct Call {
    #[serde(default)]
    id: Option<String>,
    function: Function,
}

#[derive(Debug, Deserialize)]
struct Function {
    name: String,
    #[serde(default)]
    arguments: Value,
}

#[derive(Debug, Default)]
pub(in crate::wire) struct Decode {
    reply: Assembly,
    /// Calls come whole on this wire, and their own indexes start anew with each line.
    n_calls: u64,
}

impl Dialect for Decode {
    fn read(&mut self, data: &str, out: &mut Vec<ChatEvent>) -> Result<Step, Fault> {
        let line: Line = parse(data)?;
        if let Some(error) = line.error.filter(|error| !error.is_null()) {
            return Err(failure::in_stream(&serde_json::json!({ "error": error })));
        }
        if let Some(message) = line.message {
            self.reply.reasoning(message.thinking.as_deref().unwrap_or_default(), out);
            self.reply.text(message.content.as_deref().unwrap_or_default(), out);
            for call in message.tool_calls.into_iter().flatten() {
                let arguments = match &call.function.arguments {
                    Value::Null => "".into(),
                    arguments => spelling::text(arguments),
                };
                let piece = CallPiece {
                    index: Some(self.n_calls),
                    id: call.id.as_deref().unwrap_or_default(),
                    name: &call.function.name,
                    arguments: &arguments,
                };
                self.reply.call(&piece, out)?;
                self.n_calls += 1;
            }
        }
        if !line.done {
            return Ok(Step::More);
        }
        self.reply.finish = Some(match line.done_reason.as_deref() {
            Some("length") => FinishReason::Length,
            _ => FinishReason::Stop,
        });
        let (input, output) =
            (count(line.prompt_eval_count.as_ref()), count(line.eval_count.as_ref()));
        self.reply.counts = Counts { input, output, ..Counts::default() };
        Ok(Step::Done(Box::new(self.reply.reply("ollama"))))
    }

    fn whole(&mut self, body: &str, out: &mut Vec<ChatEvent>) -> Result<ChatReply, Fault> {
        match self.read(body, out)? {
            Step::Done(reply) => Ok(*reply),
            Step::More => Err(Fault::incomplete()),
        }
    }

    fn end(&mut self) -> Result<ChatReply, Fault> {
        Err(Fault::incomplete())
    }
}
