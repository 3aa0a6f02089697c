//! Calls that wait for a person, as they are shown: what they are, until when, and how they are answered.

use std::path::Path;

use greenroom_core::approval::{Ask, PendingCall};
use greenroom_core::fingerprint::fingerprint;
use greenroom_core::ids::{CallId, StreamId};
use greenroom_core::redact::redact;
use greenroom_core::time::Timestamp;
use serde::Serialize;

use super::list::span;
use super::named;

/// The most that is shown of a call, in characters. `runs export` has all of it.
const SHOWN_CHARS_MAX: usize = 2_000;

/// A call that waits for a person.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Asked {
    run: String,
    /// What the call is named by.
    pub(super) call: String,
    tool: String,
    /// The tool and its arguments, without secrets and what a terminal would obey.
    shown: String,
    ask: Ask,
    asked_at_ms: u64,
    expires_at_ms: u64,
    /// What an answer to exactly this question is marked with.
    pub(super) seen: String,
    approve: String,
    deny: String,
}

impl Asked {
    pub(crate) fn new(pending: &PendingCall, store: Option<&Path>) -> Self {
        let run = pending.run().map(|run| run.to_string()).unwrap_or_default();
        let id = pending.run().map(named).unwrap_or_default();
        let (call, seen) = (name(pending), mark(pending));
        let store = store
            .map(|store| format!(" --store {}", quoted(&store.to_string_lossy())))
            .unwrap_or_default();
        let quoted = quoted(&call);
        let command =
            |verb: &str| format!("greenroom runs {verb} {id} {quoted} --seen {seen}{store}");
        let (approve, deny) = (command("approve"), command("deny"));
        Self {
            tool: pending.tool.clone(),
            shown: bounded(&redact(&pending.shown())),
            ask: pending.ask,
            asked_at_ms: pending.asked_at.as_millis(),
            expires_at_ms: pending.expires_at.as_millis(),
            approve,
            deny,
            run,
            call,
            seen,
        }
    }
}

/// What a call is named by: its task and its number there.
pub(super) fn name(pending: &PendingCall) -> String {
    name_at(&pending.stream, &pending.call)
}

/// What a call of a stream is named by.
pub(super) fn name_at(stream: &StreamId, call: &CallId) -> String {
    match stream.path() {
        "" => call.to_string(),
        path => format!("{path}/{call}"),
    }
}

/// A mark of all that an answer is bound to, to notice that something else is asked by now.
pub(super) fn mark(pending: &PendingCall) -> String {
    let PendingCall { stream, seq, ask, expires_at, .. } = pending;
    let all = format!("{stream} {seq} {ask:?} {} {}", expires_at.as_millis(), pending.shown());
    format!("{seq}-{:08x}", fingerprint(&all) as u32)
}

/// The calls as text, each with the commands that answer it.
pub(crate) fn text(asked: &[Asked], now: Timestamp) -> String {
    let mut text = String::new();
    for Asked { call, shown, ask, expires_at_ms, approve, deny, .. } in asked {
        let left = Timestamp::from_millis(*expires_at_ms).since(now);
        let until = match left.is_zero() {
            true => "its time is over".to_owned(),
            false => format!("for {}", span(left.as_secs())),
        };
        let why = match ask {
            Ask::Approval => "may it be made?",
            _ => "it was cut off, and may have taken effect: is it to be made again?",
        };
        text += &format!(
            "call {call} waits for a person, {until}: {why}\n  {shown}\n  {approve}\n  {deny} --reason \"…\"\n"
        );
    }
    text
}

fn bounded(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        None => text.to_owned(),
        Some((end, _)) => {
            let n_more = text[end..].chars().count();
            format!("{}… and {n_more} characters more, which `runs export` has", &text[..end])
        }
    }
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use greenroom_core::ids::{RunId, StreamId};
    use serde_json::json;

    use super::*;

    fn pending(arguments: serde_json::Value) -> PendingCall {
        let stream = StreamId::root(RunId::from_bits(0x7f3a << 112)).child(&"t1".into());
        let call = ("1-1".into(), "read_file".to_owned(), arguments);
        let at = Timestamp::from_millis(1_000);
        PendingCall::new((stream, 3), call, Ask::Approval, at, Duration::from_secs(7_200))
    }

    #[test]
    fn a_call_is_shown_with_the_commands_that_answer_it() {
        let asked = Asked::new(&pending(json!({ "path": "a" })), Some(Path::new("/my store")));
        let mark = mark(&pending(json!({ "path": "a" })));
        assert!(mark.starts_with("3-") && mark.len() == 10, "{mark}");
        let wanted = format!(
            "call t1/1-1 waits for a person, for 1 h: may it be made?\n  read_file {{\"path\":\"a\"}}\n  \
             greenroom runs approve 7f3a0000 t1/1-1 --seen {mark} --store '/my store'\n  \
             greenroom runs deny 7f3a0000 t1/1-1 --seen {mark} --store '/my store' --reason \"…\"\n"
        );
        assert_eq!(text(&[asked], Timestamp::from_millis(2_000)), wanted);
    }

    #[test]
    fn what_is_shown_has_an_end_no_secrets_and_nothing_hidden() {
        let key = "sk-canary-0123456789abcdef";
        let long = "x ".repeat(5_000);
        let asked = Asked::new(&pending(json!({ "a": key, "b": "\u{202e}", "c": long })), None);
        assert!(!asked.shown.contains("canary"), "{}", asked.shown);
        assert!(asked.shown.contains(r"\u{202e}"), "{}", asked.shown);
        assert!(asked.shown.chars().count() < 2_100 && asked.shown.contains(" characters more"));
    }

    #[test]
    fn a_mark_tells_one_question_from_another() {
        let one = pending(json!({ "path": "a" }));
        let mut put_again = one.clone();
        put_again.seq = 9;
        let other = pending(json!({ "path": "b" }));
        let marks = [mark(&one), mark(&put_again), mark(&other)];
        assert!(marks[0] != marks[1] && marks[0] != marks[2], "{marks:?}");
    }
}
