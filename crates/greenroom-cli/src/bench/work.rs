//! The work that is measured: two turns of a model with one tool call between them, once as a Greenroom
//! agent and once as the loop that people write by hand.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use greenroom_core::message::{Message, ToolCall};
use greenroom_core::model::{ChatEvent, ChatModel, ChatReply, ChatRequest, ChatStream};
use greenroom_core::tool::{DynTool, ToolContext, ToolSpec};
use greenroom_tools::CalculateTool;
use serde_json::json;

pub(super) const QUESTION: &str = "What is 64 * 12?";

/// The most turns of the loop.
const TURNS_MAX: usize = 8;

/// A model that calls the tool, then answers. It takes `latency` for each reply, and no time of its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Instant {
    pub(super) latency: Duration,
}

impl ChatModel for Instant {
    fn name(&self) -> &str {
        "instant"
    }

    fn stream(&self, request: ChatRequest) -> ChatStream {
        let has_result = matches!(request.messages.last(), Some(Message::Tool { .. }));
        let reply = if has_result { ChatReply::text("768") } else { ChatReply::calls([call()]) };
        let latency = self.latency;
        Box::pin(stream::once(async move {
            if !latency.is_zero() {
                tokio::time::sleep(latency).await;
            }
            Ok(ChatEvent::Finished(reply))
        }))
    }
}

fn call() -> ToolCall {
    let arguments = json!({ "expression": "64 * 12" });
    ToolCall { id: "call_1".into(), name: "calculate".to_owned(), arguments }
}

/// The loop that people write by hand: no supervision, no journal, no budget, no deadline.
pub(super) struct Loop {
    model: Instant,
    tool: CalculateTool,
    specs: Arc<[ToolSpec]>,
}

impl Loop {
    pub(super) fn new(model: Instant) -> Self {
        Self { model, tool: CalculateTool, specs: Arc::from([CalculateTool.spec()]) }
    }

    pub(super) async fn run(&self) -> Option<String> {
        let mut messages = vec![Message::user(QUESTION)];
        for _ in 0..TURNS_MAX {
            let (asked, tools) = (Arc::new(messages.clone()), Arc::clone(&self.specs));
            let request = ChatRequest { messages: asked, tools, ..ChatRequest::default() };
            let reply = self.reply(request).await?;
            if reply.tool_calls.is_empty() {
                return Some(reply.text);
            }
            let tool_calls = reply.tool_calls.clone();
            messages.push(Message::Assistant {
                text: reply.text,
                reasoning: reply.reasoning,
                tool_calls,
            });
            for ToolCall { id: call, name, arguments } in reply.tool_calls {
                let context = ToolContext::new(call.clone(), call.as_str());
                let outcome = self.tool.call_json(arguments, context).await.into();
                messages.push(Message::Tool { call, name, outcome });
            }
        }
        None
    }

    async fn reply(&self, request: ChatRequest) -> Option<ChatReply> {
        let mut events = self.model.stream(request);
        while let Some(event) = events.next().await {
            if let Ok(ChatEvent::Finished(reply)) = event {
                return Some(reply);
            }
        }
        None
    }
}
