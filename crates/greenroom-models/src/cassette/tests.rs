//! Recording from scripted models, and replaying without them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{FutureExt as _, StreamExt as _};
use greenroom_core::budget::Price;
use greenroom_core::message::{Message, ToolCall};
use greenroom_core::model::{Caller, ChatEvent, ChatOptions, ChatReply, ChatRequest};
use greenroom_testkit::provider::ProviderServer;
use greenroom_testkit::{HashedEmbedder, ScriptedModel, ScriptedReply, conformance};
use serde_json::json;
use tempfile::TempDir;

use super::*;

const SECRET: &str = "canary-passphrase-7";

fn asking(text: &str) -> ChatRequest {
    let messages = Arc::new(vec![Message::system("Be brief."), Message::user(text)]);
    ChatRequest { messages, ..ChatRequest::default() }
}

type Events = Vec<Result<ChatEvent, ModelError>>;

fn events(model: &dyn ChatModel, request: ChatRequest) -> Events {
    model.stream(request).collect::<Events>().now_or_never().expect("nothing waits here")
}

fn said(events: &Events) -> &str {
    match events.last() {
        Some(Ok(ChatEvent::Finished(reply))) => &reply.text,
        other => panic!("{other:?}"),
    }
}

struct Tapes(TempDir);

impl Tapes {
    fn new() -> Self {
        Self(TempDir::new().expect("a directory"))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("tape.jsonl")
    }

    fn open(&self, mode: CassetteMode) -> Cassette {
        Cassette::open(self.path(), mode).expect("a cassette").without(SECRET)
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.path()).expect("it was written")
    }
}

#[test]
fn what_was_recorded_is_replayed_event_by_event_in_its_order() {
    let tapes = Tapes::new();
    let call = ToolCall { id: "c1".into(), name: "add".into(), arguments: json!({ "a": 1 }) };
    let error = ModelError::new(ModelErrorKind::RateLimited, "scripted", "slow down");
    let scripted = ScriptedModel::new([
        ScriptedReply::text("first of two"),
        ScriptedReply::calls([call]),
        ScriptedReply::text("second"),
        ScriptedReply::partial("half", error),
    ]);
    let model = tapes.open(CassetteMode::Record).model(scripted);
    let asked = ["a", "b", "a", "c"];
    let told = asked.map(|text| events(&model, asking(text)));
    assert_eq!(tapes.text().lines().count(), 5);
    let cassette = tapes.open(CassetteMode::Replay);
    let player = cassette.player("scripted");
    // In another order, and asked by somebody else.
    for (n_used, i) in [1, 0, 3, 2].into_iter().enumerate() {
        assert_eq!(cassette.unused().len(), 4 - n_used);
        let caller = Caller { attempt: 7, depth: 1, ..Caller::default() };
        assert_eq!(events(&player, ChatRequest { caller, ..asking(asked[i]) }), told[i]);
    }
    let again = events(&player, asking("a"));
    let Some(Err(error)) = again.last() else { panic!("{again:?}") };
    assert!(error.message.contains("was recorded 2 times, and is made once more"), "{error}");
    assert!(!error.is_retryable());
}

#[test]
fn a_request_that_was_not_recorded_is_told_from_the_nearest_one() {
    let tapes = Tapes::new();
    let model = tapes
        .open(CassetteMode::Record)
        .model(ScriptedModel::answering(|_| ChatReply::text("yes")));
    events(&model, asking("What is the capital of France, and how many people live there?"));
    let cassette = tapes.open(CassetteMode::Replay);
    let why = |model: &TapedModel, request| match events(model, request).pop() {
        Some(Err(error)) => error.message,
        other => panic!("{other:?}"),
    };
    let player = cassette.player("scripted");
    let other = asking("What is the capital of France, and how old is it?");
    let message = why(&player, other);
    assert!(message.contains("the nearest is line 2, where /messages/1/text is "), "{message}");
    assert!(message.contains("how many people") && message.contains("how old"), "{message}");
    let options = ChatOptions { seed: Some(7), ..ChatOptions::default() };
    let first = "What is the capital of France, and how many people live there?";
    let message = why(&player, ChatRequest { options, ..asking(first) });
    assert!(message.ends_with("where /options is null and not {\"seed\":7}"), "{message}");
    let message = why(&cassette.player("other"), asking(first));
    assert!(message.ends_with("nothing of the model \"other\" was recorded"), "{message}");
    assert_eq!(cassette.unused(), [2]);
}

#[test]
fn secrets_are_not_recorded_and_do_not_keep_requests_apart() {
    let tapes = Tapes::new();
    let model = tapes.open(CassetteMode::Record).model(ScriptedModel::answering(|request| {
        let Some(Message::User { text, .. }) = request.messages.last() else {
            panic!("a question")
        };
        ChatReply::text(format!("you said {text}"))
    }));
    let key = "sk-proj-0123456789abcdef";
    events(&model, asking(&format!("my key is {key} and my word {SECRET}")));
    let call = ToolCall {
        id: "c".into(),
        name: "login".into(),
        arguments: json!({ "password": "hunter2" }),
    };
    let message =
        Message::Assistant { text: String::new(), reasoning: None, tool_calls: vec![call] };
    let messages = Arc::new(vec![Message::user("log in"), message, Message::user("and?")]);
    events(&model, ChatRequest { messages, ..ChatRequest::default() });
    let text = tapes.text();
    for secret in [key, SECRET, "hunter2"] {
        assert!(!text.contains(secret), "{text}");
    }
    assert!(text.contains("my key is"), "{text}");
    let player = tapes.open(CassetteMode::Replay).player("scripted");
    let other = "sk-proj-ffffffffffffffff";
    let replayed = events(&player, asking(&format!("my key is {other} and my word {SECRET}")));
    assert!(said(&replayed).contains("my key is"), "{replayed:?}");
}

#[test]
fn what_is_missing_is_recorded_behind_the_rest() {
    let tapes = Tapes::new();
    let scripted = || {
        let model = ScriptedModel::answering(|_| ChatReply::text("made"));
        (model.calls(), model)
    };
    let (_, model) = scripted();
    events(&tapes.open(CassetteMode::ReplayOrRecord).model(model), asking("a"));
    let (calls, model) = scripted();
    let taped = tapes.open(CassetteMode::ReplayOrRecord).model(model);
    events(&taped, asking("a"));
    assert_eq!(calls.n_begun(), 0);
    events(&taped, asking("b"));
    assert_eq!(calls.n_begun(), 1);
    // A cassette that replays asks nobody, even when somebody is there.
    let (calls, model) = scripted();
    let taped = tapes.open(CassetteMode::Replay).model(model);
    assert_eq!(said(&events(&taped, asking("b"))), "made");
    assert!(matches!(events(&taped, asking("c")).last(), Some(Err(_))));
    assert_eq!(calls.n_begun(), 0);
    // To record is to begin anew.
    drop(tapes.open(CassetteMode::Record));
    assert_eq!(tapes.text(), "{\"kind\":\"cassette\",\"version\":1}\n");
}

#[test]
fn a_reply_that_nobody_waits_for_is_not_recorded() {
    let tapes = Tapes::new();
    let model = tapes
        .open(CassetteMode::Record)
        .model(ScriptedModel::new([ScriptedReply::text("one two")]));
    drop(model.stream(asking("a")).next().now_or_never());
    assert_eq!(tapes.text().lines().count(), 1);
}

#[test]
fn a_file_that_is_no_cassette_is_named() {
    let tapes = Tapes::new();
    let open = |mode| Cassette::open(tapes.path(), mode).expect_err("it cannot be used");
    let error = open(CassetteMode::Replay);
    assert_eq!(error.kind, CassetteErrorKind::File);
    assert!(error.to_string().contains("tape.jsonl: there is no such file; record it"), "{error}");
    for (text, says) in [
        ("{\"kind\":\"cassette\",\"version\":1}\n{\"kind\":\"chat\"}\n", "line 2 is no recording"),
        ("{\"kind\":\"cassette\",\"version\":2}\n", "version 2, and this reads 1"),
    ] {
        std::fs::write(tapes.path(), text).expect("a file");
        let error = open(CassetteMode::ReplayOrRecord);
        assert_eq!(error.kind, CassetteErrorKind::Content);
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test]
async fn taped_models_and_embedders_keep_the_contracts_of_their_seams() {
    let tapes = Tapes::new();
    let scripted = ScriptedModel::answering(|_| ChatReply::text("Hello you"));
    let cassette = tapes.open(CassetteMode::Record);
    let model = cassette.model(scripted);
    conformance::chat_model("recorded", &model, asking("a")).await;
    // The suite drops a reply, which is not recorded and will be asked for.
    events(&model, asking("a"));
    let player = tapes.open(CassetteMode::Replay).player("scripted");
    conformance::chat_model("replayed", &player, asking("a")).await;
}

#[cfg(feature = "http")]
#[tokio::test]
async fn vectors_are_recorded_too() {
    let tapes = Tapes::new();
    let server = ProviderServer::builder().start();
    let settings = crate::http::Settings::new().with_base_url("ollama", server.url(""));
    let providers = crate::http::Providers::new(settings).expect("the settings are fine");
    let price = Price::default();
    let priced = tapes.open(CassetteMode::Record).embedder(HashedEmbedder::new("h").price(price));
    assert_eq!(priced.price(), Some(price));
    let embedder = Arc::new(providers.embedder("ollama:e").expect("an embedder"));
    let texts: Arc<[String]> = ["a".to_owned(), "b".to_owned()].into();
    let n_told = Arc::new(AtomicUsize::new(0));
    let told = Arc::clone(&n_told);
    let tell = Arc::new(move |_: &_| {
        told.fetch_add(1, Ordering::Relaxed);
    });
    let taped = tapes.open(CassetteMode::Record).embedder(embedder);
    let made = taped.embed_telling(Arc::clone(&texts), tell).await;
    assert_eq!(n_told.load(Ordering::Relaxed), 1, "the limits of the account pass through");
    let player = tapes.open(CassetteMode::Replay).embedding_player("ollama:e");
    assert_eq!(player.embed(texts).await, made);
    assert!(player.embed(Arc::from(["c".to_owned()])).await.is_err());
    assert_eq!((made.expect("vectors").vectors.len(), server.requests().len()), (2, 1));
}
