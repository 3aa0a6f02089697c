//! A model on this machine that has a tool called so many times, and then answers, or never does.

use futures_util::{FutureExt as _, StreamExt as _, stream};
use greenroom_core::agent::TurnLimits;
use greenroom_core::budget::Budget;
use greenroom_core::message::{Message, ToolCall};
use greenroom_core::model::{ChatEvent, ChatModel, ChatReply, ChatRequest, ChatStream};
use greenroom_runtime::{Agent, Runtime};
use greenroom_testkit::ScriptedTool;
use serde_json::json;
use tokio::sync::watch;

pub(crate) const ANSWER: &str = "It is done.";

#[derive(Debug, Clone)]
pub(crate) struct Talk {
    n_turns: usize,
    /// Whether it leaves the last question open.
    is_dying: bool,
    n_asked_last: watch::Sender<usize>,
}

impl Talk {
    pub(crate) fn of(n_turns: usize) -> Self {
        Self { n_turns, is_dying: false, n_asked_last: watch::Sender::new(0) }
    }

    pub(crate) fn dying(n_turns: usize) -> Self {
        Self { is_dying: true, ..Self::of(n_turns) }
    }

    /// Waits until so many runs have asked for their answer.
    pub(crate) async fn until_asked_last(&self, n: usize) {
        let mut asked = self.n_asked_last.subscribe();
        asked.wait_for(|n_asked| *n_asked >= n).await.expect("the sender is here");
    }
}

impl ChatModel for Talk {
    fn name(&self) -> &str {
        "talk"
    }

    fn stream(&self, request: ChatRequest) -> ChatStream {
        let is_result = |message: &&Message| matches!(message, Message::Tool { .. });
        let n = request.messages.iter().filter(is_result).count();
        if n < self.n_turns {
            let arguments = json!({ "query": format!("the capacity of mailbox {n}"), "top_k": 8 });
            let call = ToolCall { id: format!("call_{n}").into(), name: "look".into(), arguments };
            let reply = ChatReply::calls([call]);
            return stream::once(async { Ok(ChatEvent::Finished(reply)) }).boxed();
        }
        self.n_asked_last.send_modify(|n_asked| *n_asked += 1);
        if self.is_dying {
            return std::future::pending().into_stream().boxed();
        }
        stream::once(async { Ok(ChatEvent::Finished(ChatReply::text(ANSWER))) }).boxed()
    }
}

/// An agent with one tool, whose results are of some 600 bytes.
pub(crate) fn agent(runtime: &Runtime, model: Talk) -> Agent {
    let limits = TurnLimits { turns_max: 1_000, ..TurnLimits::default() };
    let budget = Budget { model_calls_max: 1_000, tool_calls_max: 1_000, ..Budget::default() };
    let found = "A mailbox holds 64 messages. ".repeat(20);
    let look = ScriptedTool::answering("look", move |_| Ok(json!(found.clone())));
    let agent = runtime.agent("clerk").model(model).tool(look);
    agent.limits(limits).budget(budget).build().expect("complete")
}
