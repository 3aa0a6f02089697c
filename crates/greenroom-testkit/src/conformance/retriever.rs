//! The suite of [`Retriever`].

use greenroom_core::retriever::{Passage, Query, Retriever};

use super::patiently;

/// Texts that look like the syntax of some search engine. Any text is a valid query.
const ODD_QUERIES: [&str; 8] =
    ["", " \n\t", "\"", "AND OR NOT (", "title:* -x +y", "a\0b", "*?~^[", "🦀\u{202e}ß"];

/// Checks that a retriever answers as the seam promises, given a query that at least one passage fits.
/// Gives the passages found for further checks.
///
/// # Panics
///
/// When a promise is broken.
pub async fn retriever(label: &str, retriever: &dyn Retriever, query: &str) -> Vec<Passage> {
    assert!(!retriever.name().is_empty(), "{label}: the source has no name");
    assert!(!retriever.description().is_empty(), "{label}: the source has no description");
    assert!(!retriever.description().contains('\n'), "{label}: the description is one line");

    for top_k in [0, 1, 2, 8, 1_000] {
        search(label, retriever, query, top_k).await;
    }
    let found = search(label, retriever, query, 8).await;
    assert!(!found.is_empty(), "{label}: {query:?} should find something");
    let again = search(label, retriever, query, 8).await;
    assert_eq!(found, again, "{label}: the same query found something else");

    for odd in ODD_QUERIES {
        search(label, retriever, odd, 8).await;
    }
    let megabyte = "backpressure ".repeat((1 << 20) / 13 + 1);
    search(label, retriever, &megabyte, 8).await;
    found
}

async fn search(label: &str, retriever: &dyn Retriever, text: &str, top_k: usize) -> Vec<Passage> {
    let shown: String = text.chars().take(40).collect();
    let what = format!("the search for {shown:?}");
    let found = retriever.search(Query { top_k, ..Query::new(text) });
    let found = patiently(label, &what, found)
        .await
        .unwrap_or_else(|error| panic!("{label}: {what} failed: {error}"));
    assert!(found.len() <= top_k, "{label}: {what} found {} of {top_k} at most", found.len());
    let is_ordered = found.is_sorted_by(|left, right| left.score >= right.score);
    assert!(is_ordered, "{label}: {what} is not best first");
    for passage in &found {
        check(label, passage);
    }
    found
}

fn check(label: &str, passage: &Passage) {
    let Passage { source, start_line, end_line, score, text, .. } = passage;
    assert!(!source.is_empty(), "{label}: a passage without a source");
    assert!(score.is_finite(), "{label}: the score of {source}:{start_line} is {score}");
    let spans = std::iter::once((*start_line, *end_line))
        .chain(passage.also_at.iter().map(|place| (place.start_line, place.end_line)));
    for (start, end) in spans {
        assert!(1 <= start && start <= end, "{label}: the lines {start} to {end} of {source}");
    }
    let n_lines = text.split('\n').count();
    let n_lines_spanned = (end_line - start_line) as usize + 1;
    assert_eq!(
        n_lines, n_lines_spanned,
        "{label}: the text of {source}:{start_line}-{end_line} has another number of lines"
    );
}
