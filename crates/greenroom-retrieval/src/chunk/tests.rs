//! Tests of `chunk`.

use std::path::Path;

use proptest::prelude::*;

use super::{Chunk, Format, chunks};
use crate::lines::Lines;

/// What is true of the chunks of every text that is cut by lines.
#[track_caller]
fn check_exact(format: Format, text: &str) -> Vec<Chunk> {
    let lines = Lines::new(text);
    let all = chunks(format, text);
    let mut covered = vec![false; lines.len()];
    let mut last_end = 0;
    // How far into a line that is cut the slices have come.
    let mut sliced = (0, 0);
    for chunk in &all {
        let (start, end) = (chunk.start_line as usize, chunk.end_line as usize);
        assert!(start >= 1 && start <= end && end <= lines.len(), "{chunk:?}");
        let first = lines.get(start - 1);
        let is_whole = chunk.text == first || start < end;
        if is_whole {
            assert_eq!(chunk.text, lines.join(start - 1..end));
            assert!(start > last_end, "overlap at line {start}");
        } else {
            // The only exception: a part of one long line.
            assert!(first.len() > 1_000, "{chunk:?}");
            if sliced.0 != start {
                sliced = (start, 0);
            }
            assert!(first[sliced.1..].starts_with(&chunk.text), "slices out of order: {start}");
            sliced.1 += chunk.text.len();
        }
        assert!(!lines.is_blank(start - 1) && !lines.is_blank(end - 1), "{chunk:?}");
        covered[start - 1..end].fill(true);
        last_end = end;
        let weight: usize = super::pack::weight(&chunk.text);
        assert!(weight <= 650, "a chunk of weight {weight}");
    }
    for (i, covered) in covered.iter().enumerate() {
        assert!(*covered || lines.is_blank(i), "line {} is in no chunk", i + 1);
    }
    all
}

fn piece() -> impl Strategy<Value = String> {
    let words = proptest::collection::vec("[a-zé一]{1,9}", 1..90).prop_map(|words| words.join(" "));
    prop_oneof![
        "#{1,7} [a-z ]{0,20}",
        "[a-z ]{1,12}\n(===|---)",
        Just("```rust\n# not a heading\n\nfn main() {}\n```".to_owned()),
        Just("```\nnever closed".to_owned()),
        Just("| a | b |\n|---|---|\n| 1 | 2 |".to_owned()),
        Just("- one\n- two\n\n  more of two\n- three".to_owned()),
        Just("> quoted\n> # heading in a quote".to_owned()),
        Just("[ref]: http://example.com 'title'".to_owned()),
        Just("    indented code\n\n    more of it".to_owned()),
        Just("---\ntitle: front\n---".to_owned()),
        Just("/// Doc.\nfn item() {\n\n    body();\n}".to_owned()),
        Just("<div>\n<p>html</p>\n</div>".to_owned()),
        Just("\u{a0}\n\t \n".to_owned()),
        Just("x".repeat(7_000)),
        Just("é ".repeat(4_000)),
        words,
        ".{0,40}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_chunk_is_its_lines_and_every_line_is_in_one(
        pieces in proptest::collection::vec((piece(), 0_usize..3), 0..14),
        crlf in any::<bool>(),
    ) {
        let mut text = String::new();
        for (piece, n_breaks) in pieces {
            text.push_str(&piece);
            text.push_str(&"\n".repeat(n_breaks));
        }
        if crlf {
            text = text.replace('\n', "\r\n");
        }
        for format in [Format::Markdown, Format::Text, Format::Source] {
            check_exact(format, &text);
        }
        let n_lines = Lines::new(&text).len();
        for chunk in chunks(Format::Html, &text) {
            prop_assert!(chunk.start_line >= 1 && chunk.start_line <= chunk.end_line);
            prop_assert!(chunk.end_line as usize <= n_lines);
        }
    }
}

fn headings(format: Format, text: &str) -> Vec<(u32, u32, String)> {
    let path = |chunk: Chunk| (chunk.start_line, chunk.end_line, chunk.heading.join(" > "));
    chunks(format, text).into_iter().map(path).collect()
}

#[test]
fn markdown_is_cut_at_its_headings() {
    let text = "---\ntitle: x\n---\n\n# Guide\n\nIntro.\n\n## Setup\n\n```sh\n# not a heading\n```\n\n\
                Setext\n------\n\nText.\n\n### Deep `code`\n\nMore.\n\n# Other\n\nEnd.\n";
    let expected = [
        (1, 3, ""),
        (5, 7, "Guide"),
        (9, 13, "Guide > Setup"),
        (15, 18, "Guide > Setext"),
        (20, 22, "Guide > Setext > Deep code"),
        (24, 26, "Other"),
    ];
    let expected = expected.map(|(start, end, path)| (start, end, path.to_owned()));
    assert_eq!(headings(Format::Markdown, text), expected);
}

#[test]
fn headings_without_text_stay_with_what_follows() {
    let text = "# Title\n\n## Part\n\nText.\n";
    let all = check_exact(Format::Markdown, text);
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].heading, ["Title", "Part"]);
    assert!(all[0].begins_section);
}

#[test]
fn a_listing_is_kept_whole_and_paragraphs_fill_a_chunk() {
    let prose = format!("{}.\n\n", "word ".repeat(100).trim_end());
    let listing = format!("```\n{}```\n\n", "let a = b;\n\n".repeat(60));
    let text = format!("# T\n\n{}{listing}{prose}", prose.repeat(4));
    let all = check_exact(Format::Markdown, &text);
    let whole = all.iter().find(|chunk| chunk.text.contains("```")).unwrap();
    assert!(whole.text.starts_with("```") || whole.text.contains("\n```\nlet"));
    assert!(whole.text.ends_with("```") || whole.text.matches("```").count() == 2);
    let sizes: Vec<_> = all.iter().map(|chunk| super::pack::weight(&chunk.text)).collect();
    assert!(sizes.iter().all(|&size| (80..=400).contains(&size)), "{sizes:?}");
}

#[test]
fn a_long_listing_is_cut_at_a_blank_line() {
    let item = format!("{}\n\n", "let sum = first + second;\n".repeat(12).trim_end());
    let text = format!("```\n{}```\n", item.repeat(20));
    let all = check_exact(Format::Markdown, &text);
    assert!(all.len() > 2);
    for chunk in &all[1..] {
        assert_eq!(
            chunk.text.lines().count() % 13,
            if chunk.text.contains("```") { 1 } else { 12 }
        );
    }
}

#[test]
fn a_long_list_is_cut_between_its_items() {
    let item = format!("- {}\n  second line of the item\n", "word ".repeat(40).trim_end());
    for chunk in check_exact(Format::Markdown, &item.repeat(40)) {
        assert!(chunk.text.starts_with("- "), "{}", &chunk.text[..40]);
        assert!(chunk.text.ends_with("of the item"));
    }
}

#[test]
fn a_doc_comment_stays_with_its_item() {
    let body = "    let sum = first + second;\n".repeat(20);
    let item =
        |name: &str| format!("/// What {name} does.\n#[must_use]\nfn {name}() {{\n{body}\n}}\n\n");
    let text: String = ["alpha", "beta", "gamma", "delta"].map(item).concat();
    let all = check_exact(Format::Source, &text);
    assert!(all.len() > 1);
    for chunk in all {
        assert!(chunk.text.starts_with("/// What"), "{}", &chunk.text[..30]);
        assert!(chunk.text.ends_with('}'));
    }
}

#[test]
fn a_line_of_ten_megabytes_is_cut() {
    for line in ["x".repeat(10 << 20), "wörd ".repeat(2 << 20), "一".repeat(3 << 20)] {
        let all = check_exact(Format::Text, &format!("before\n\n{line}\n\nafter\n"));
        assert!(all.iter().all(|chunk| chunk.text.len() <= 4_000));
        assert_eq!(all.first().map(|chunk| chunk.text.as_str()), Some("before"));
        assert_eq!(
            all.last().map(|chunk| (chunk.start_line, chunk.text.as_str())),
            Some((5, "after"))
        );
        assert!(
            all[1..all.len() - 1].iter().all(|chunk| (chunk.start_line, chunk.end_line) == (3, 3))
        );
    }
}

#[test]
fn a_page_is_read_as_its_reader_sees_it() {
    for line_end in ["\n", "\r\n"] {
        let page = [
            "<!doctype html><html><head><title>Fish &amp; Chips</title>",
            "<style>p { color: red }</style>",
            "<script>if (a < b) { document.write('<p>never</p>') }</script></head>",
            "<body><!-- hidden",
            "comment -->",
            "<h1>Menu</h1>",
            "<p>Caf&eacute; is <b>op",
            "en</b> until&nbsp;10.</p>",
            "",
            "<h2 id='x'>Prices",
            "and hours</h2><p>A<br>B</p>",
            "<pre>",
            "  indented   text",
            "</pre>",
            "</body></html>",
        ];
        let all = chunks(Format::Html, &page.join(line_end));
        let seen: Vec<_> = all
            .iter()
            .map(|chunk| {
                (chunk.start_line, chunk.end_line, chunk.heading.join(" > "), chunk.text.as_str())
            })
            .collect();
        let expected = [
            (
                1,
                8,
                "Fish & Chips > Menu".to_owned(),
                "Fish & Chips\n\nMenu\n\nCafé is op\nen until 10.",
            ),
            (
                10,
                13,
                "Fish & Chips > Menu > Prices and hours".to_owned(),
                "Prices\nand hours\n\nA\nB\n\n  indented   text",
            ),
        ];
        assert_eq!(seen, expected);
    }
}

#[test]
fn formats_follow_from_extensions() {
    for (name, format) in [
        ("a/README.MD", Format::Markdown),
        ("x.htm", Format::Html),
        ("x.rs", Format::Source),
        ("x.txt", Format::Text),
        ("Makefile", Format::Text),
    ] {
        assert_eq!(Format::of(Path::new(name)), format, "{name}");
    }
}
