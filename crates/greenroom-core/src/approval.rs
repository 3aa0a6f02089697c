//! Waiting for people: what a person is asked of a call, and what the answer is bound to.

use std::fmt::{self, Write};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::{CallId, RunId, StreamId};
use crate::journal::{Event, Recorded};
use crate::time::Timestamp;
use crate::tool::canonical;

/// What a person is asked of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ask {
    /// Whether it may be made.
    Approval,
    /// What is to become of it: it was cut off, and whether it took effect is unknown. Approval makes it
    /// again, denial tells the model that it is in doubt, an output says what came of it.
    InDoubt,
}

/// What becomes of an at-most-once call that was cut off.
///
/// | policy | the call |
/// |---|---|
/// | `TellModel` (the default) | has an error as its outcome, which says that it is in doubt |
/// | `AskPerson` | waits for a person, who may have it made again or say what came of it |
///
/// It is never made again on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum InDoubt {
    /// The model is told.
    #[default]
    TellModel,
    /// A person is asked.
    AskPerson,
}

/// What a person says to a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Decision {
    /// It may be made, once.
    Approved,
    /// It is not made. The model reads why.
    Denied {
        /// Why.
        why: String,
    },
    /// It is not made again: this came of it. Only of a call in doubt.
    Output {
        /// Its output.
        output: Value,
    },
    /// Nobody answered in time. Only the runtime says so.
    Expired,
}

/// A call that waits for a person, with everything that an answer is bound to.
///
/// The answer names the whole of it. One that names another tool, other arguments, or a question that was put
/// again since, is refused.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PendingCall {
    /// The stream of the task that the call belongs to; its run is [`PendingCall::run`].
    pub stream: StreamId,
    /// The call.
    pub call: CallId,
    /// The place of the question in the stream: no other question has it.
    pub seq: u64,
    /// The tool.
    pub tool: String,
    /// Its arguments.
    pub arguments: Value,
    /// What is asked.
    pub ask: Ask,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// Until when an answer counts.
    pub expires_at: Timestamp,
}

impl PendingCall {
    /// A call that waits since `asked_at`.
    #[must_use]
    pub fn new(
        (stream, seq): (StreamId, u64),
        (call, tool, arguments): (CallId, String, Value),
        ask: Ask,
        asked_at: Timestamp,
        patience: Duration,
    ) -> Self {
        let expires_at = asked_at.after(patience);
        Self { stream, call, seq, tool, arguments, ask, asked_at, expires_at }
    }

    /// The run.
    #[must_use]
    pub fn run(&self) -> Option<RunId> {
        self.stream.run()
    }

    /// The call as a person is to see it before answering: the tool and the arguments that it is made with,
    /// with every character escaped that a terminal would obey or not show.
    #[must_use]
    pub fn shown(&self) -> String {
        visible(&format!("{} {}", self.tool, canonical(&self.arguments)))
    }
}

/// The calls that wait for a person, by what a stream says.
#[must_use]
pub fn pending(stream: &StreamId, events: &[Recorded]) -> Vec<PendingCall> {
    let mut pending = Vec::new();
    events.iter().for_each(|recorded| fold_pending(&mut pending, stream, recorded));
    pending
}

/// Folds one event of a stream into the calls of it that wait for a person.
pub fn fold_pending(pending: &mut Vec<PendingCall>, stream: &StreamId, recorded: &Recorded) {
    let Recorded { seq, at, event } = recorded;
    match event {
        Event::PersonAsked { call, tool, arguments, ask, patience } => {
            let of = (call.clone(), tool.clone(), arguments.clone());
            pending.push(PendingCall::new((stream.clone(), *seq), of, *ask, *at, *patience));
        }
        Event::PersonAnswered { call, .. } | Event::ToolFinished { call, .. } => {
            pending.retain(|asked| asked.call != *call);
        }
        Event::LimitReached { .. } | Event::TaskFinished { .. } => pending.clear(),
        _ => {}
    }
}

/// Text without characters that are not what they look like: control characters, marks of direction, and
/// those without a width.
fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let is_hidden = c.is_control()
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}');
        if is_hidden {
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Why an answer does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AnswerRefusal {
    /// Nobody is asked about that call: it never was, was answered already, or its task is over.
    NotPending,
    /// The question has changed: another tool, other arguments, or it was put again.
    Changed,
    /// It came too late.
    Expired,
    /// That is no answer to this question.
    Unfit,
}

impl fmt::Display for AnswerRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotPending => "the call does not wait for an answer",
            Self::Changed => "the question is not the one that was answered",
            Self::Expired => "the answer came too late",
            Self::Unfit => "that is no answer to this question",
        })
    }
}

impl std::error::Error for AnswerRefusal {}

/// Whether an answer counts, when `asked` is what the call waits for now.
///
/// # Errors
///
/// [`AnswerRefusal`] when it does not.
pub fn check_answer(
    answered: &PendingCall,
    decision: &Decision,
    asked: Option<&PendingCall>,
    now: Timestamp,
) -> Result<(), AnswerRefusal> {
    let asked = asked.ok_or(AnswerRefusal::NotPending)?;
    if answered != asked {
        return Err(AnswerRefusal::Changed);
    }
    if now >= asked.expires_at {
        return Err(AnswerRefusal::Expired);
    }
    match (decision, asked.ask) {
        (Decision::Approved | Decision::Denied { .. }, _)
        | (Decision::Output { .. }, Ask::InDoubt) => Ok(()),
        _ => Err(AnswerRefusal::Unfit),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pending() -> PendingCall {
        let stream = StreamId::root(RunId::from_bits(1));
        let call = ("1-1".into(), "pay".to_owned(), json!({ "sum": 3 }));
        let at = Timestamp::from_millis(1_000);
        PendingCall::new((stream, 4), call, Ask::Approval, at, Duration::from_secs(9))
    }

    /// SEC-E: an answer is bound to the exact call and arguments, and to its time.
    #[test]
    fn sec_e_an_answer_is_bound_to_everything_that_was_asked() {
        let asked = pending();
        let check = |answered: &PendingCall, decision: &Decision, seconds: u64| {
            check_answer(answered, decision, Some(&asked), Timestamp::from_millis(1_000 * seconds))
        };
        let yes = Decision::Approved;
        assert_eq!(check(&asked, &yes, 9), Ok(()));
        assert_eq!(check(&asked, &Decision::Denied { why: "no".into() }, 9), Ok(()));
        assert_eq!(check(&asked, &yes, 10), Err(AnswerRefusal::Expired));
        assert_eq!(
            check_answer(&asked, &yes, None, asked.asked_at),
            Err(AnswerRefusal::NotPending)
        );
        let changed = [
            PendingCall { arguments: json!({ "sum": 4 }), ..asked.clone() },
            PendingCall { tool: "put".into(), ..asked.clone() },
            PendingCall { call: "1-2".into(), ..asked.clone() },
            PendingCall { seq: 5, ..asked.clone() },
            PendingCall { stream: StreamId::root(RunId::from_bits(2)), ..asked.clone() },
            PendingCall { ask: Ask::InDoubt, ..asked.clone() },
            PendingCall { expires_at: Timestamp::from_millis(99_000), ..asked.clone() },
        ];
        for other in changed {
            assert_eq!(check(&other, &yes, 2), Err(AnswerRefusal::Changed), "{other:?}");
        }
        let output = Decision::Output { output: json!(1) };
        for unfit in [&output, &Decision::Expired] {
            assert_eq!(check(&asked, unfit, 2), Err(AnswerRefusal::Unfit), "{unfit:?}");
        }
    }

    /// SEC-E: what is shown is what is executed.
    #[test]
    fn sec_e_nothing_is_hidden_in_what_is_shown() {
        let arguments = json!({ "to": "a\u{202e}b\u{200b}\u{1b}[2Jc\u{9b}d" });
        let shown = PendingCall { arguments, ..pending() }.shown();
        assert_eq!(shown, r#"pay {"to":"a\u{202e}b\u{200b}\u001b[2Jc\u{9b}d"}"#);
    }
}
