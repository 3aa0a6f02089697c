//! What holds for every wire: the pieces change nothing, limits hold, and no bytes make a decoder panic.

use greenroom_core::output::OutputSchema;
use greenroom_core::tool::{EffectClass, ToolSpec};
use proptest::prelude::*;
use serde_json::json;

use super::*;

mod fuzzed;

type Decoded = (Vec<ChatEvent>, Option<ModelError>);

/// Decodes a body that comes in these pieces, and says that it ended.
pub(super) fn decode_pieces<'a>(
    wire: Wire,
    limits: Limits,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Decoded {
    let mut decoder = wire.decoder_within("m", limits);
    let mut events = Vec::new();
    for piece in pieces {
        if let Err(error) = decoder.push(piece, &mut events) {
            return (events, Some(error));
        }
    }
    let error = decoder.end(&mut events).err();
    assert_eq!(decoder.is_finished(), error.is_none());
    (events, error)
}

pub(super) fn decode(wire: Wire, body: impl AsRef<[u8]>) -> Decoded {
    decode_pieces(wire, Limits::default(), [body.as_ref()])
}

/// The reply of a body that is whole.
#[track_caller]
pub(super) fn reply(wire: Wire, body: impl AsRef<[u8]>) -> ChatReply {
    let (mut events, error) = decode(wire, body);
    assert_eq!(error, None, "{events:?}");
    match events.pop() {
        Some(ChatEvent::Finished(reply)) => reply,
        other => panic!("the last event is {other:?}"),
    }
}

/// The error of a body that is none, and what was shown before it.
#[track_caller]
pub(super) fn error(wire: Wire, body: impl AsRef<[u8]>) -> (Vec<ChatEvent>, ModelError) {
    let (events, error) = decode(wire, body);
    (events, error.expect("the body should be refused"))
}

/// Every event of server-sent events, from the JSON of their data.
pub(super) fn sse(events: impl IntoIterator<Item = impl std::fmt::Display>) -> String {
    events.into_iter().map(|event| format!("data: {event}\n\n")).collect()
}

const WIRES: [Wire; 4] = [Wire::OpenAiChat, Wire::OpenAiResponses, Wire::Anthropic, Wire::Ollama];

fn payloads() -> Vec<(Wire, &'static str)> {
    let of = |wire, payloads: &'static [&'static str]| payloads.iter().map(move |p| (wire, *p));
    of(Wire::OpenAiChat, &super::openai_chat::tests::PAYLOADS)
        .chain(of(Wire::OpenAiResponses, &super::openai_responses::tests::PAYLOADS))
        .chain(of(Wire::Anthropic, &super::anthropic::tests::PAYLOADS))
        .chain(of(Wire::Ollama, &super::ollama::tests::PAYLOADS))
        .collect()
}

#[test]
fn fi18_one_byte_at_a_time_gives_the_same_events() {
    for (wire, body) in payloads() {
        for end in [body.len(), body.len() - 5] {
            let body = &body.as_bytes()[..end];
            let whole = decode(wire, body);
            let bytes = body.chunks(1);
            assert_eq!(decode_pieces(wire, Limits::default(), bytes), whole, "{wire:?}");
        }
    }
}

/// One JSON body for each wire, with a text of signs of one to four bytes.
fn saying(wire: Wire, text: &str) -> String {
    let text = serde_json::to_string(text).expect("a string is JSON");
    match wire {
        Wire::OpenAiChat => format!(
            "data: {{\"choices\":[{{\"delta\":{{\"content\":{text}}}}}]}}\r\n\r\ndata: [DONE]\r\n\r\n"
        ),
        Wire::OpenAiResponses => format!(
            "data: {{\"type\":\"response.output_text.delta\",\"delta\":{text}}}\n\n\
             data: {{\"type\":\"response.completed\",\"response\":{{}}}}\n\n"
        ),
        Wire::Anthropic => format!(
            "data: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"text\":{text}}}}}\r\r\
             data: {{\"type\":\"message_stop\"}}\r\r"
        ),
        Wire::Ollama => format!("{{\"message\":{{\"content\":{text}}},\"done\":true}}\n"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_split_gives_the_same_events(
        which in any::<prop::sample::Index>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        end in any::<prop::sample::Index>(),
        is_cut_off in any::<bool>(),
    ) {
        let payloads = payloads();
        let (wire, body) = payloads[which.index(payloads.len())];
        let body = body.as_bytes();
        let body = if is_cut_off { &body[..end.index(body.len())] } else { body };
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|pair| &body[pair[0]..pair[1]]);
        prop_assert_eq!(decode_pieces(wire, Limits::default(), pieces), decode(wire, body));
    }

    #[test]
    fn fi18_text_is_exact_to_the_byte(text in "[a-zäß€😀\u{2028}\u{0}\u{feff}\"\\\\\n]{1,20}", size in 1..5_usize) {
        for wire in WIRES {
            let body = saying(wire, &text);
            let (events, error) =
                decode_pieces(wire, Limits::default(), body.as_bytes().chunks(size));
            prop_assert_eq!(error, None);
            let Some(ChatEvent::Finished(reply)) = events.last() else { panic!("{events:?}") };
            prop_assert_eq!(&reply.text, &text);
        }
    }

    /// Bytes at random, with enough of the wires' own words among them to get past the first checks.
    #[test]
    fn no_bytes_make_a_decoder_panic_or_speak_twice(
        parts in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..6),
                prop::sample::select(WORDS.as_slice()).prop_map(|word| word.as_bytes().to_vec()),
            ],
            0..40,
        ),
    ) {
        let body: Vec<u8> = parts.concat();
        for wire in WIRES {
            let (events, error) = decode(wire, &body);
            let n_final = events.iter().filter(|e| matches!(e, ChatEvent::Finished(_))).count();
            prop_assert_eq!(n_final, usize::from(error.is_none()));
            if let Some(ChatEvent::Finished(reply)) = events.last() {
                let shown: String = events.iter().filter_map(|event| match event {
                    ChatEvent::TextDelta(text) => Some(text.as_str()),
                    _ => None,
                }).collect();
                prop_assert_eq!(&shown, &reply.text);
            }
        }
    }
}

const WORDS: [&str; 24] = [
    "data: ",
    "data:",
    "\n\n",
    "\r\n",
    "\r",
    "event: x\n",
    ": ping\n",
    "{\"choices\":[{\"delta\":{\"content\":\"a\"}}]}",
    "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"x\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]}}]}",
    "{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}",
    "[DONE]",
    "{\"type\":\"message_stop\"}",
    "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"\",\"name\":\"f\",\"input\":{}}}",
    "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"partial_json\":\"{\\\"a\\\":1}\"}}",
    "{\"type\":\"content_block_delta\",\"index\":9,\"delta\":{\"signature\":\"s\"}}",
    "{\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":-1}}}",
    "{\"type\":\"response.function_call_arguments.done\",\"arguments\":\"{}\"}",
    "{\"type\":\"response.output_item.done\",\"output_index\":1,\"item\":{\"type\":\"function_call\"}}",
    "{\"message\":{\"content\":\"é\"}}",
    "{\"done\":true}",
    "{\"error\":\"e\"}",
    "{",
    "<html>",
    "\u{feff}",
];

#[test]
fn fi15_fi16_a_body_that_ends_early_is_incomplete() {
    for (wire, body) in payloads() {
        // The last event of each payload is its final one, and some say before it why they stop.
        let cut = body.len() / 3;
        let (_, error) = error(wire, &body.as_bytes()[..cut]);
        assert_eq!(error.kind, ModelErrorKind::Incomplete, "{wire:?}: {error}");
        assert!(error.is_retryable());
    }
}

#[test]
fn fi19_text_that_is_no_text_is_refused() {
    for wire in WIRES {
        let body = saying(wire, "ab");
        let at = body.find("ab").expect("it says ab");
        let mut bytes = body.clone().into_bytes();
        bytes[at] = 0xff;
        let (events, refused) = error(wire, &bytes);
        assert_eq!((events.len(), refused.kind), (0, ModelErrorKind::InvalidReply), "{wire:?}");
        // Half of a pair, which is no sign.
        let half = body.replace("ab", "\\ud800");
        assert_eq!(error(wire, half).1.kind, ModelErrorKind::InvalidReply, "{wire:?}");
        let marked = format!("\u{feff}{body}");
        assert_eq!(reply(wire, marked).text, "ab", "a byte-order mark is no text: {wire:?}");
    }
}

#[test]
fn fi21_lines_events_and_bodies_have_limits() {
    let limits = Limits { line_len_max: 1000, event_len_max: 3000, body_len_max: 10_000 };
    let long_line = "x".repeat(1001);
    let long_event = "data: 0123456789\n".repeat(400);
    let long_body = ": ping\n\n".repeat(2000);
    for wire in WIRES {
        let endless = if wire == Wire::Ollama { "{}\n".repeat(4000) } else { long_body.clone() };
        for (what, body) in [("line", &long_line), ("event", &long_event), ("body", &endless)] {
            if what == "event" && wire == Wire::Ollama {
                continue;
            }
            for size in [7, usize::MAX] {
                let pieces = body.as_bytes().chunks(size);
                let (_, error) = decode_pieces(wire, limits, pieces);
                let error = error.expect("it is too long");
                assert!(error.message.contains(&format!("the {what} is longer")), "{error}");
                assert!(!error.is_retryable());
            }
        }
    }
}

#[test]
fn fi23_json_that_is_none_is_an_error_and_no_panic() {
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    for wire in WIRES {
        let framed =
            |json: &str| if wire == Wire::Ollama { format!("{json}\n") } else { sse([json]) };
        let huge = r#"{"choices":[],"type":"ping","eval_count":1e400,"usage":1e400}"#;
        for json in
            [r#"{"a":"#, r#"{} {}"#, &deep, huge, "nul", r#"{"type":1,"message":1,"choices":1}"#]
        {
            let (_, error) = error(wire, framed(json));
            let kind = error.kind;
            assert!(
                matches!(kind, ModelErrorKind::InvalidReply | ModelErrorKind::Incomplete),
                "{wire:?} {json:.40}: {error}"
            );
        }
    }
}

#[test]
fn fi24_a_page_and_an_empty_body_are_no_api() {
    for wire in WIRES {
        for body in ["<!DOCTYPE html><html>Sign in</html>", "\n <html>", "", "\r\n \n"] {
            let (_, error) = error(wire, body);
            assert_eq!(error.kind, ModelErrorKind::Endpoint, "{wire:?} {body:?}: {error}");
        }
    }
}

#[test]
fn what_is_written_is_what_is_encoded() {
    let tool = ToolSpec {
        name: "look".to_owned(),
        description: "Looks \"it\" up.".to_owned(),
        parameters: json!({ "type": "object", "properties": { "query": { "type": "string" } } }),
        effect: EffectClass::ReadOnly,
    };
    let schema = json!({ "type": "object", "properties": { "n": { "type": "integer" } } });
    let output = OutputSchema { name: "n".to_owned(), schema };
    let plain = ChatRequest::user("Grün 😀");
    let with_tools = ChatRequest { tools: [tool].into(), ..plain.clone() };
    let shaped = ChatRequest { output: Some(output.into()), ..plain.clone() };
    let both = ChatRequest { output: shaped.output.clone(), ..with_tools.clone() };
    let styles = [OutputStyle::Schema, OutputStyle::Tool, OutputStyle::Words];
    for (wire, style) in WIRES.iter().flat_map(|wire| styles.map(|style| (wire, style))) {
        let quirks = Quirks { output: style, ..Quirks::default() };
        for request in [&plain, &with_tools, &shaped, &both] {
            let written = wire.written("m", request, quirks);
            let read: Value = serde_json::from_slice(&written).expect("JSON");
            assert_eq!(read, wire.encode("m", request, quirks), "{wire:?} {style:?}");
        }
    }
}
