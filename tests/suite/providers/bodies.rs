//! Replies that are odd, broken, too long, or no replies at all.

use std::time::Duration;

use greenroom_core::model::{ChatReply, ModelErrorKind};
use greenroom_models::wire::Limits;
use greenroom_testkit::FaultRule;
use greenroom_testkit::provider::{Answer, ProviderServer, WireFault};

use super::world::{MODELS, TEXT, World, ask, check_fails, one_try, request};

/// Signs of one to four bytes, joined signs, and signs that go on top of others.
const SIGNS: &str = "aß€😀 👩‍👩‍👧 e\u{301} \u{fffd} 漢字";

async fn reply_with(name: &str, answer: Answer) -> ChatReply {
    let world = World::new(ProviderServer::builder().answers([answer]));
    world.ask(name).await.unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[tokio::test]
async fn fi18_a_text_in_single_bytes_is_exact() {
    for name in MODELS {
        let reply = reply_with(name, Answer::text(SIGNS).fault(WireFault::Bytewise)).await;
        assert_eq!(reply.text, SIGNS, "{name}");
    }
}

#[tokio::test]
async fn fi19_text_that_is_none_is_refused_and_odd_text_is_kept() {
    for fault in [WireFault::NotUtf8, WireFault::HalfSurrogate] {
        check_fails(fault, ModelErrorKind::InvalidReply, 1).await;
    }
    for name in MODELS {
        let reply = reply_with(name, Answer::text(SIGNS).fault(WireFault::OddSigns)).await;
        assert_eq!(reply.text, format!("{SIGNS}\0\u{2028}"), "{name}");
        let journalled = serde_json::to_string(&reply).expect("JSON");
        let read: ChatReply = serde_json::from_str(&journalled).expect("what was written");
        assert_eq!(read, reply);
    }
}

#[tokio::test]
async fn fi20_events_in_every_form_are_the_same_events() {
    for name in &MODELS[..3] {
        let text = "one two three four five six seven eight nine ten";
        let answer = Answer::text(text).thinking("Hm, so.");
        let plain = reply_with(name, answer.clone()).await;
        let odd = reply_with(name, answer.fault(WireFault::OddEvents)).await;
        assert_eq!((odd.text.as_str(), &odd), (text, &plain), "{name}");
    }
}

#[tokio::test]
async fn fi21_what_has_no_end_is_cut_off() {
    for name in MODELS {
        for (fault, what) in [
            (WireFault::LongLine(100 << 20), "the line is longer than 1048576 bytes"),
            (WireFault::Repeats(u64::MAX), "the body is longer than 2097152 bytes"),
        ] {
            let rule = FaultRule::provider("m", fault).times(u32::MAX);
            let world = World::ruled(rule);
            let limits = Limits { body_len_max: 2 << 20, ..Limits::default() };
            let model = world.bare(name).with_limits(limits);
            let error = ask(&model, one_try()).await.expect_err(name);
            assert_eq!(error.kind, ModelErrorKind::InvalidReply, "{name}: {error}");
            assert!(error.message.contains(what), "{name}: {error}");
            // What is not read is not sent either: the connection is closed.
            world.server.until(|counts| counts.n_given_up == 1).await;
        }
    }
}

#[tokio::test]
async fn fi22_nothing_is_unpacked() {
    for fault in [
        WireFault::GzipBomb(10 << 20),
        WireFault::BrokenGzip,
        WireFault::Encoding("br".into()),
        WireFault::Encoding("zstd".into()),
        WireFault::Encoding("gzip, gzip".into()),
    ] {
        for error in check_fails(fault, ModelErrorKind::Endpoint, 1).await {
            assert!(error.message.contains("packed"), "{error}");
        }
    }
}

#[tokio::test]
async fn fi23_json_that_is_none_is_an_error_and_no_panic() {
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    for json in ["{\"choices\":[", "{} {}", &deep, "{\"usage\":1e400,\"done\":1e400}", "nul"] {
        let fault = WireFault::Data(json.to_owned());
        check_fails(fault, ModelErrorKind::InvalidReply, 1).await;
    }
    // A field that comes twice: no wire says what it means, and none is guessed at.
    let twice = r#"{"type":"a","type":"b","choices":[],"choices":[],"done":false,"done":false}"#;
    check_fails(WireFault::Data(twice.into()), ModelErrorKind::InvalidReply, 1).await;
}

#[tokio::test]
async fn fi24_what_is_no_api_is_named() {
    for fault in [
        WireFault::Page,
        WireFault::NoContent,
        WireFault::EmptyBody,
        WireFault::ContentType("image/png".into()),
    ] {
        check_fails(fault, ModelErrorKind::Endpoint, 1).await;
    }
}

#[tokio::test]
async fn fi30_counts_that_cannot_be_are_estimated() {
    for fault in [
        WireFault::NoUsage,
        WireFault::Usage(-5, -5),
        WireFault::Usage(i64::MAX, i64::MAX),
        WireFault::Usage(0, 3),
    ] {
        for name in MODELS {
            let usage = reply_with(name, Answer::text(TEXT).fault(fault.clone())).await.usage;
            assert_eq!(usage.estimated_calls, 1, "{name}: {fault}: {usage:?}");
            let sum = usage.tokens();
            assert!(usage.input_tokens > 0 && sum < 1000, "{name}: {fault}: {usage:?}");
        }
    }
}

#[tokio::test]
async fn fi35_a_connection_that_was_closed_while_it_rested_costs_no_call() {
    for name in MODELS {
        let world = World::ruled(FaultRule::provider("m", WireFault::ClosesAfter).times(3));
        for _ in 0..4 {
            assert_eq!(world.ask(name).await.expect(name).text, TEXT);
        }
        // Reset just as the second request comes: it may have been read, so it is made again with its key.
        let world = World::ruled(FaultRule::provider("m", WireFault::ResetBeforeHead).at(2));
        for key in ["run/1", "run/2"] {
            let mut asked = request();
            asked.caller.idempotency_key = Some(key.into());
            let reply = ask(&*world.model(name), asked).await.expect(name);
            assert_eq!(reply.text, TEXT);
        }
        let requests = world.server.requests();
        let keys: Vec<_> = requests.iter().filter_map(|r| r.header("idempotency-key")).collect();
        assert_eq!(keys, ["run/1", "run/2", "run/2"], "{name}");
        assert!(world.clock.skipped().iter().all(|wait| *wait < Duration::from_secs(1)));
    }
}
