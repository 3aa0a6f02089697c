//! The Cranfield collection: documents, queries and judgements in the files of TREC.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::{
    BenchError, BenchErrorKind, Collection, Document, Quality, QualityRow, index_failed, read,
};
use crate::eval::ndcg_at;
use crate::options::SearchOptions;

const DOCUMENTS: &str = "cran.all.1400.xml";
const QUERIES: &str = "cran.qry.xml";
const JUDGEMENTS: &str = "cranqrel.trec.txt";

pub(super) fn is_at(dir: &Path) -> bool {
    [DOCUMENTS, QUERIES, JUDGEMENTS].iter().all(|name| dir.join(name).is_file())
}

pub(super) fn measure(
    dir: &Path,
    methods: &[(&'static str, SearchOptions)],
) -> Result<Quality, BenchError> {
    let malformed = |name: &str| BenchError::new(BenchErrorKind::Malformed, &dir.join(name));
    let documents = documents(&read(&dir.join(DOCUMENTS))?);
    let queries = queries(&read(&dir.join(QUERIES))?);
    let judgements =
        judgements(&read(&dir.join(JUDGEMENTS))?).ok_or_else(|| malformed(JUDGEMENTS))?;
    if documents.is_empty() || queries.is_empty() {
        return Err(malformed(DOCUMENTS));
    }
    let collection = Collection::new(&documents).map_err(index_failed(dir))?;
    let mut rows = Vec::new();
    for &(method, options) in methods {
        let mut sum = 0.0;
        for (number, gains) in &judgements {
            let query = queries.get(number - 1).ok_or_else(|| malformed(QUERIES))?;
            let ranked = collection.rank(query, 10, &options).map_err(index_failed(dir))?;
            sum += ndcg_at(&ranked, gains, 10);
        }
        rows.push(QualityRow { method, value: sum / judgements.len() as f64 });
    }
    Ok(Quality {
        data: "Cranfield",
        measure: "nDCG@10",
        n_documents: documents.len(),
        n_queries: judgements.len(),
        rows,
    })
}

fn documents(xml: &str) -> Vec<Document> {
    let document = |entry: &str| Document {
        id: inside(entry, "docno").trim().to_owned(),
        title: inside(entry, "title").split_whitespace().collect::<Vec<_>>().join(" "),
        text: inside(entry, "text").trim().to_owned(),
    };
    xml.split("</doc>").filter(|entry| entry.contains("<docno>")).map(document).collect()
}

/// The queries in the order of the file: the judgements count them from 1 and ignore `<num>`.
fn queries(xml: &str) -> Vec<String> {
    let queries = xml.split("</top>").filter(|entry| entry.contains("<title>"));
    queries.map(|entry| inside(entry, "title").trim().to_owned()).collect()
}

/// What is relevant to each query, by the query's number; `None` when a line is malformed.
fn judgements(text: &str) -> Option<BTreeMap<usize, HashMap<String, f64>>> {
    let mut judgements: BTreeMap<usize, HashMap<String, f64>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let mut fields = line.split_whitespace();
        let query: usize = fields.next()?.parse().ok().filter(|&number| number > 0)?;
        let document = fields.nth(1)?.to_owned();
        let gain: f64 = fields.next()?.parse().ok()?;
        judgements.entry(query).or_default().insert(document, gain.max(0.0));
    }
    Some(judgements)
}

/// The text between `<tag>` and `</tag>`; empty when there is none.
fn inside<'a>(xml: &'a str, tag: &str) -> &'a str {
    let found = xml.split_once(&format!("<{tag}>"));
    found.and_then(|(_, rest)| rest.split_once(&format!("</{tag}>"))).map_or("", |(text, _)| text)
}
