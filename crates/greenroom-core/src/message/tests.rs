//! The JSON of messages, which journals hold: what was written once is read for ever.

use serde_json::json;

use super::*;

#[track_caller]
fn check(message: &Message, expect: &Value) {
    let written = serde_json::to_value(message).expect("a message is JSON");
    assert_eq!(written, *expect);
    let read: Message = serde_json::from_value(written).expect("what was written can be read");
    assert_eq!(read, *message);
}

/// These forms are older than images and reasoning. They must not change: old programs read them.
#[test]
fn plain_messages_are_written_as_they_always_were() {
    check(&Message::system("s"), &json!({ "role": "system", "text": "s" }));
    check(&Message::user("u"), &json!({ "role": "user", "text": "u" }));
    check(&Message::assistant("a"), &json!({ "role": "assistant", "text": "a" }));
    let call = ToolCall { id: "1-1".into(), name: "look".into(), arguments: json!({ "x": 1 }) };
    let calling =
        Message::Assistant { text: String::new(), reasoning: None, tool_calls: vec![call] };
    let calls = json!([{ "id": "1-1", "name": "look", "arguments": { "x": 1 } }]);
    check(&calling, &json!({ "role": "assistant", "text": "", "tool_calls": calls }));
}

#[test]
fn images_and_reasoning_are_added_to_them() {
    let images = [Image::bytes("image/png", b"\x89PNG"), Image::url("https://example.com/a.png")];
    let expect = json!({
        "role": "user",
        "text": "look",
        "images": [
            { "source": "inline", "media_type": "image/png", "base64": "iVBORw==" },
            { "source": "url", "url": "https://example.com/a.png" },
        ],
    });
    check(&Message::user_with_images("look", images), &expect);
    let reasoning =
        Reasoning { wire: "anthropic".into(), items: vec![json!({ "signature": "x" })] };
    let thought = Message::Assistant {
        text: "hm".into(),
        reasoning: Some(reasoning),
        tool_calls: Vec::new(),
    };
    let sealed = json!({ "wire": "anthropic", "items": [{ "signature": "x" }] });
    check(&thought, &json!({ "role": "assistant", "text": "hm", "reasoning": sealed }));
}
