//! Providers that fall silent, break off or go on for ever.

use futures_util::StreamExt as _;
use greenroom_core::model::{ChatEvent, ModelErrorKind};
use greenroom_core::time::Clock as _;
use greenroom_models::resilience::{ResilienceSpec, StallSpec, resilient};
use greenroom_testkit::provider::{Answer, ProviderServer, WireFault};
use greenroom_testkit::{FaultPlan, FaultRule, ManualClock};

use super::world::{
    MODELS, SECOND, TEXT, World, ask, check_fails, check_recovers, one_try, request,
};

#[tokio::test]
async fn fi10_fi11_silence_is_given_up_and_the_call_made_again() {
    for (fault, span) in [(WireFault::SilentBeforeHead, 60), (WireFault::SilentAfterHead, 120)] {
        for name in MODELS {
            let has_head = fault == WireFault::SilentAfterHead;
            let world = World::ruled(FaultRule::provider("m", fault.clone()));
            let mut stream = world.model(name).stream(request());
            if has_head {
                let head = stream.next().await;
                assert!(matches!(head, Some(Ok(ChatEvent::Meta(_)))), "{name}: {head:?}");
            }
            let silence = async {
                world.server.until(|counts| counts.n_silent == 1).await;
                world.clock.advance(span * SECOND);
                std::future::pending::<()>().await;
            };
            let events: Vec<_> = tokio::select! {
                events = stream.collect() => events,
                () = silence => unreachable!("it never ends"),
            };
            let Some(Ok(ChatEvent::Finished(reply))) = events.last() else { panic!("{events:?}") };
            assert_eq!((reply.text.as_str(), world.n_requests()), (TEXT, 2), "{name}");
            assert!(world.clock.elapsed() < (span + 2) * SECOND, "{:?}", world.clock);
            // The silent connection was closed, and not only forgotten.
            world.server.until(|counts| counts.n_given_up == 1).await;
        }
    }
}

#[tokio::test]
async fn fi12_a_stream_that_stops_is_given_up_and_what_was_shown_is_not_shown_again() {
    for name in MODELS {
        let rule = FaultRule::provider("m", WireFault::StopsMidText).times(u32::MAX);
        let world = World::ruled(rule);
        let model = world.model(name);
        let mut stream = model.stream(request());
        let mut shown = String::new();
        while let Some(Ok(event)) = stream.next().await {
            if let ChatEvent::TextDelta(text) = event {
                shown += &text;
                break;
            }
        }
        world.server.until(|counts| counts.n_silent == 1).await;
        assert!(TEXT.starts_with(&shown) && !shown.is_empty(), "{name}: {shown}");
        let rest = async {
            let mut last = None;
            while let Some(event) = stream.next().await {
                last = Some(event);
            }
            last
        };
        let last = tokio::select! {
            last = rest => last,
            // The stall timer and the time of the whole call.
            () = world.pass_time(2) => unreachable!("it never ends"),
        };
        let Some(Err(error)) = last else { panic!("{name}: {last:?}") };
        assert_eq!((error.kind, error.is_partial), (ModelErrorKind::Timeout, true), "{name}");
        assert_eq!((world.n_requests(), world.clock.elapsed()), (1, 120 * SECOND), "{name}");
    }
}

#[tokio::test]
async fn fi13_pings_alone_keep_nothing_alive() {
    for name in MODELS {
        let rule = FaultRule::provider("m", WireFault::PingsOnly(SECOND));
        let builder = ProviderServer::builder().answering(|_| Answer::text(TEXT));
        let builder = builder.faults(FaultPlan::new(7).rule(rule));
        let world = World::with_clock(ManualClock::new(), builder);
        let model = world.model(name);
        let error = tokio::select! {
            answer = ask(&*model, one_try()) => answer.expect_err("it says nothing"),
            // The provider's next ping, the stall timer and the time of the whole call.
            () = world.pass_time(3) => unreachable!("it never ends"),
        };
        assert_eq!(error.kind, ModelErrorKind::Timeout, "{name}: {error}");
        assert!(error.message.contains("stalled"), "{error}");
        // The head may come a ping later than it was sent.
        let elapsed = world.clock.elapsed();
        assert!(elapsed >= 120 * SECOND && elapsed <= 122 * SECOND, "{name}: {elapsed:?}");
    }
}

#[tokio::test]
async fn fi14_a_byte_each_second_does_not_outlive_the_time_of_the_call() {
    let rule = FaultRule::provider("m", WireFault::Slow(SECOND));
    let text = "word ".repeat(200);
    let builder = ProviderServer::builder().answering(move |_| Answer::text(text.clone()));
    let builder = builder.faults(FaultPlan::new(7).rule(rule));
    let world = World::with_clock(ManualClock::new(), builder);
    let stall = StallSpec { content: 3600 * SECOND, ..StallSpec::default() };
    let spec = ResilienceSpec { stall, ..ResilienceSpec::default() };
    let model = resilient(world.bare("openai:m"), &world.governor, spec);
    let error = tokio::select! {
        answer = ask(&*model, one_try()) => answer.expect_err("it takes an hour"),
        () = world.pass_time(3) => unreachable!("it never ends"),
    };
    assert_eq!(error.kind, ModelErrorKind::Timeout, "{error}");
    assert_eq!(world.clock.elapsed(), 600 * SECOND);
    world.server.until(|counts| counts.n_given_up == 1).await;
}

#[tokio::test]
async fn fi15_a_connection_that_breaks_in_the_reply_is_no_success() {
    for fault in [WireFault::ResetMidText, WireFault::ClosesMidText] {
        for error in check_fails(fault, ModelErrorKind::Incomplete, 1).await {
            assert!(error.is_partial, "{error}");
        }
    }
}

#[tokio::test]
async fn fi16_a_body_that_just_ends_is_never_an_answer() {
    for error in check_fails(WireFault::EndsEarly, ModelErrorKind::Incomplete, 1).await {
        assert!(error.is_partial, "{error}");
    }
    // Nothing was shown, so it is asked again.
    let empty = Answer::raw(200, "text/event-stream", ": hello\n\n: bye\n\n");
    for name in &MODELS[..3] {
        let world = World::ruled(FaultRule::provider("m", empty.clone()));
        let reply = world.ask(name).await.expect(name);
        assert_eq!((reply.text.as_str(), world.n_requests()), (TEXT, 2), "{name}");
    }
}

#[tokio::test]
async fn fi17_an_error_in_the_stream_is_one_whatever_the_status_was() {
    check_recovers(WireFault::FailsInStream { status: 529, is_shown: false }).await;
    let fault = WireFault::FailsInStream { status: 529, is_shown: true };
    for (name, error) in MODELS.iter().zip(check_fails(fault, ModelErrorKind::Unavailable, 1).await)
    {
        assert!(error.is_partial, "{error}");
        // Ollama's errors have no names.
        let status = if *name == "ollama:m" { 500 } else { 529 };
        assert_eq!(error.status, Some(status), "{name}");
    }
}
