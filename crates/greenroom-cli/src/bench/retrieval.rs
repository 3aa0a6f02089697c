//! How well two public data sets are searched, next to plain BM25 over the same index.

use greenroom_retrieval::bench::{BenchError, BenchErrorKind, quality};

use super::Report;
use super::table::Table;
use crate::args::RetrievalArgs;
use crate::exit::{Exit, Failure, Problem, chain};

/// Measures every data set that was named.
pub(super) fn retrieval(args: &RetrievalArgs) -> Result<Report, Failure> {
    let mut table = Table::new(["data set", "documents", "queries", "measure", "method", "value"]);
    for dir in [&args.cranfield, &args.hotpot].into_iter().flatten() {
        for data in quality(dir).map_err(|error| failed(&error))? {
            for row in &data.rows {
                let (documents, queries) =
                    (data.n_documents.to_string(), data.n_queries.to_string());
                let value = format!("{:.3}", row.value);
                let (name, measure) = (data.data.to_owned(), data.measure.to_owned());
                table =
                    table.row([name, documents, queries, measure, row.method.to_owned(), value]);
            }
        }
    }
    let title = "retrieval: the quality of rankings, as users have them".to_owned();
    Ok(Report { title, table, notes: Vec::new() })
}

/// A measurement that could not be made.
pub(super) fn failed(error: &BenchError) -> Failure {
    match error.kind() {
        BenchErrorKind::NoData | BenchErrorKind::Unreadable | BenchErrorKind::Malformed => {
            let problem = Problem::new(Exit::Config, "GR0110", chain(error));
            problem.help("name the directory that holds the files of the data set").into()
        }
        _ => Problem::new(Exit::Failed, "GR0109", chain(error)).into(),
    }
}
