//! Questions of HotpotQA, each with the titles of the documents that answer it together.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::{
    BenchError, BenchErrorKind, Collection, Document, Quality, QualityRow, index_failed, read,
};
use crate::eval::recall_at;
use crate::options::SearchOptions;

const QUESTIONS: &str = "hotpotqa_train.json";
const DOCUMENTS: &str = "hotpotqa_train_corpus.json";

#[derive(Deserialize)]
struct Question {
    question: String,
    supporting_facts: Vec<(String, u32)>,
}

pub(super) fn is_at(dir: &Path) -> bool {
    [QUESTIONS, DOCUMENTS].iter().all(|name| dir.join(name).is_file())
}

pub(super) fn measure(
    dir: &Path,
    methods: &[(&'static str, SearchOptions)],
) -> Result<Quality, BenchError> {
    let questions: Vec<Question> = parse(&dir.join(QUESTIONS))?;
    let sentences: BTreeMap<String, Vec<String>> = parse(&dir.join(DOCUMENTS))?;
    let document = |(title, sentences): (&String, &Vec<String>)| Document {
        id: title.clone(),
        title: title.clone(),
        text: format!("{title}\n{}", sentences.concat()),
    };
    let documents: Vec<Document> = sentences.iter().map(document).collect();
    let collection = Collection::new(&documents).map_err(index_failed(dir))?;
    let mut rows = Vec::new();
    for &(method, options) in methods {
        let mut n_complete = 0;
        for question in &questions {
            let mut wanted: Vec<String> =
                question.supporting_facts.iter().map(|(title, _)| title.clone()).collect();
            wanted.sort();
            wanted.dedup();
            let ranked =
                collection.rank(&question.question, 10, &options).map_err(index_failed(dir))?;
            n_complete += usize::from(recall_at(&ranked, &wanted, 10) >= 1.0);
        }
        rows.push(QualityRow { method, value: n_complete as f64 / questions.len().max(1) as f64 });
    }
    Ok(Quality {
        data: "HotpotQA",
        measure: "all supports in top 10",
        n_documents: documents.len(),
        n_queries: questions.len(),
        rows,
    })
}

fn parse<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, BenchError> {
    serde_json::from_str(&read(path)?)
        .map_err(|error| BenchError::new(BenchErrorKind::Malformed, path).because(error))
}
