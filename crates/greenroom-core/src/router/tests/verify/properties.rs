//! What holds for every answer and every passage.

use proptest::prelude::*;

use super::{passages, table, verified};
use crate::retriever::{Citation, Passage};
use crate::router::verify;

/// The lines of a passage that a citation names.
fn lines(passage: &Passage, citation: &Citation) -> String {
    let skipped = (citation.start_line - passage.start_line) as usize;
    let n_lines = (citation.end_line - citation.start_line + 1) as usize;
    passage.text.split('\n').skip(skipped).take(n_lines).collect::<Vec<_>>().join("\n")
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,8}",
        "[A-Zäßİ東]{1,4}",
        "-?[0-9]{1,3}([.,][0-9]{1,3})?%?",
        proptest::sample::select(vec![
            "**bold**", "`code`", "_it_", "not", "seconds", "- ", "# ", "| ", "```", "e.g.", "[1]",
            "[x]",
        ])
        .prop_map(str::to_owned),
    ]
}

fn text() -> impl Strategy<Value = String> {
    let end = proptest::sample::select(vec![" ", " ", " ", "\n", "\n\n", ". ", "! ", ", ", ".\n"]);
    proptest::collection::vec((word(), end), 1..40)
        .prop_map(|parts| parts.into_iter().map(|(word, end)| word + end).collect())
}

proptest! {
    #[test]
    fn every_quote_is_in_its_lines(
        texts in proptest::collection::vec(text(), 1..3),
        claims in proptest::collection::vec((text(), 0_usize..3, any::<(u16, u16)>()), 1..6),
        start_line in 1_u32..1000,
    ) {
        let mut passages = passages(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        for passage in &mut passages {
            passage.start_line += start_line;
            passage.end_line += start_line;
        }
        // Claims are made up, or cut out of a passage.
        let answer = claims.iter().map(|(made_up, kind, (from, len))| {
            let source: Vec<_> = texts[0].chars().collect();
            let from = *from as usize % source.len();
            let len = *len as usize % (source.len() - from) + 1;
            let claim = match kind {
                0 => made_up.clone(),
                1 => source[from..from + len].iter().collect(),
                _ => texts[0].clone(),
            };
            format!("{} [1][2]. ", claim.replace('\n', " "))
        });
        let found = verify(&answer.collect::<String>(), &table(&[], &passages));
        for citation in &found.citations {
            let passage = passages.iter().find(|passage| passage.source == citation.source);
            let lines = lines(passage.expect("a passage that was given"), citation);
            prop_assert!(lines.contains(&citation.quote), "{:?} is not in {:?}", citation, lines);
            prop_assert!(!citation.quote.is_empty());
        }
        for n in 1..=found.citations.len() {
            let mark = format!("[{n}]");
            prop_assert!(found.text.contains(&mark), "nothing rests on {}", mark);
        }
    }

    #[test]
    fn a_sentence_of_plain_words_is_found_where_it_stands(
        sentences in proptest::collection::vec("[A-Z][a-z]{4,8}( [a-z]{2,8}){1,6}[.]", 1..6),
        at in any::<prop::sample::Index>(),
        wrap in "[ \n]",
    ) {
        let text = sentences.join("\n").replace(' ', &wrap);
        let sentence = &sentences[at.index(sentences.len())];
        prop_assume!(!["not", "no", "nor", "never", "none", "without"].iter().any(|n| text.contains(n)));
        let found = verified(&format!("{sentence} [1]"), &[&text]);
        prop_assert_eq!(&found.text, &format!("{sentence} [1]"));
        prop_assert_eq!(found.citations[0].quote.replace('\n', " "), sentence.clone());
    }

    #[test]
    fn no_answer_makes_the_check_fail(answer in "\\PC*", text in "\\PC*") {
        let _ = verify(&answer, &table(&[&text], &passages(&[&text])));
        let _ = verify(&format!("{answer} [1][2]"), &table(&[&text], &passages(&[&text])));
    }
}
