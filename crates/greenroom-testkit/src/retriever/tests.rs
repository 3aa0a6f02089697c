//! Tests of `retriever`.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

use super::*;

fn docs() -> ScriptedRetriever {
    let best = Passage { score: 2.0, ..passage("b.md", 7, "best\nof all") };
    ScriptedRetriever::new("docs")
        .description("Notes.")
        .on("Mailbox", [passage("a.md", 1, "first"), best])
        .when(|query| query.len() < 20, [passage("c.md", 3, "short")])
}

#[test]
fn a_passage_ends_where_its_text_does() {
    assert_eq!(passage("a.md", 5, "one").end_line, 5);
    assert_eq!(passage("a.md", 5, "one\ntwo\n").end_line, 7);
}

#[tokio::test(start_paused = true)]
async fn the_passages_of_every_rule_that_fits_are_found_best_first() {
    let docs = docs();
    let sources = async |text: &str, top_k| {
        let found = docs.search(Query { top_k, ..Query::new(text) }).await.unwrap();
        found.into_iter().map(|passage| passage.source).collect::<Vec<_>>()
    };
    assert_eq!(sources("a MAILBOX", 8).await, ["b.md", "a.md", "c.md"]);
    assert_eq!(sources("a mailbox", 2).await, ["b.md", "a.md"]);
    assert_eq!(sources("something else entirely", 8).await, [""; 0]);
    let asked: Vec<_> = docs.calls().requests().into_iter().map(|query| query.top_k).collect();
    assert_eq!(asked, [8, 2, 8]);
}

#[tokio::test(start_paused = true)]
async fn a_search_can_fail_wait_hang_and_panic() {
    let error = docs().failing(RetrieveErrorKind::Corrupt).search(Query::new("x")).await;
    let error = error.unwrap_err();
    assert_eq!((error.kind, error.source_name.as_str()), (RetrieveErrorKind::Corrupt, "docs"));

    let minute = Duration::from_secs(60);
    let start = tokio::time::Instant::now();
    docs().delay(minute).search(Query::new("x")).await.unwrap();
    assert_eq!(start.elapsed(), minute);

    let hanging = docs().hanging();
    let search = hanging.search(Query::new("x"));
    assert_eq!(hanging.calls().n_begun(), 0);
    assert!(tokio::time::timeout(minute, search).await.is_err());
    assert_eq!((hanging.calls().n_begun(), hanging.calls().n_in_flight()), (1, 0));

    let panicking = docs().panicking("boom");
    let panic = AssertUnwindSafe(panicking.search(Query::new("x"))).catch_unwind().await;
    assert_eq!(panic.unwrap_err().downcast_ref::<String>().unwrap(), "boom");
    assert_eq!(panicking.calls().n_in_flight(), 0);
}
