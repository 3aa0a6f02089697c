//! The measurements, on data small enough to know the answer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use greenroom_core::BoxFuture;
use greenroom_core::time::{Clock, Timestamp};
use greenroom_retrieval::bench::{BenchErrorKind, SpeedOptions, quality, speed, write_corpus};

use crate::tree::Tree;

const DOCUMENTS: &str = "<doc>\n<docno>1</docno>\n<title>wing flutter</title>\n<text>wing flutter at \
    speed</text>\n</doc>\n<doc>\n<docno>2</docno>\n<title>heat</title>\n<text>heat in slabs</text>\n</doc>\n";
/// The numbers of the queries are not those of the judgements, which count.
const QUERIES: &str = "<xml>\n<top>\n<num> 1</num>\n<title>\nflutter of a wing\n</title>\n</top>\n\
    <top>\n<num> 4</num>\n<title>\nheat\n</title>\n</top>\n</xml>\n";

fn cranfield(judgements: &str) -> Tree {
    Tree::new(&[
        ("data/cranfield/cran.all.1400.xml", DOCUMENTS),
        ("data/cranfield/cran.qry.xml", QUERIES),
        ("data/cranfield/cranqrel.trec.txt", judgements),
    ])
}

#[test]
fn cranfield_is_read_and_measured() {
    let tree = cranfield("1 0 1 1\n2 0 2 1\n2 0 1 -1\n");
    let found = quality(&tree.path("data")).unwrap();
    assert_eq!((found.len(), found[0].n_documents, found[0].n_queries), (1, 2, 2));
    let rows: Vec<_> = found[0].rows.iter().map(|row| (row.method, row.value)).collect();
    assert_eq!(rows, [("plain BM25", 1.0), ("greenroom", 1.0)]);

    // The second query judged by a document that it does not match.
    let tree = cranfield("1 0 1 1\n2 0 1 1\n");
    assert_eq!(quality(&tree.path("data/cranfield")).unwrap()[0].rows[0].value, 0.5);
}

#[test]
fn hotpot_is_read_and_measured() {
    let questions = r#"[{"question": "Who wrote Night Train?", "answer": "x",
        "supporting_facts": [["Night Train", 0], ["Night Train", 1]]},
        {"question": "What do geese and rice share?", "supporting_facts": [["Geese", 0], ["Gone", 0]]}]"#;
    let documents = r#"{"Night Train": ["A film.", " Written by Ines."], "Geese": ["Birds."], "Rice": ["Food."]}"#;
    let tree =
        Tree::new(&[("hotpotqa_train.json", questions), ("hotpotqa_train_corpus.json", documents)]);
    let found = quality(&tree.path("")).unwrap();
    assert_eq!((found[0].data, found[0].n_documents, found[0].n_queries), ("HotpotQA", 3, 2));
    assert_eq!(found[0].rows.iter().map(|row| row.value).collect::<Vec<_>>(), [0.5, 0.5]);
}

#[test]
fn data_that_is_not_there_or_not_right_is_an_error() {
    let tree = Tree::new(&[("empty/x", "")]);
    let kind = |path: &str, tree: &Tree| quality(&tree.path(path)).unwrap_err().kind();
    assert_eq!(kind("empty", &tree), BenchErrorKind::NoData);
    assert_eq!(kind("nowhere", &tree), BenchErrorKind::NoData);
    assert_eq!(kind("data", &cranfield("1 0 one\n")), BenchErrorKind::Malformed);
    assert_eq!(kind("data", &cranfield("9 0 1 1\n")), BenchErrorKind::Malformed);
    let tree = Tree::new(&[("hotpotqa_train.json", "{"), ("hotpotqa_train_corpus.json", "{}")]);
    assert_eq!(kind("", &tree), BenchErrorKind::Malformed);
}

/// Every look at it is a millisecond later.
#[derive(Default)]
struct Ticking(AtomicU64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(0)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.0.fetch_add(1, Ordering::Relaxed))
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}

#[tokio::test]
async fn speed_is_measured_by_the_clock_it_is_given() {
    let tree = Tree::new(&[]);
    let options = SpeedOptions::new(tree.path("speed")).bytes(200_000).n_queries(20);
    let measured = speed(&options, &Ticking::default()).await.unwrap();
    assert_eq!(measured.n_files, 8);
    assert!(measured.n_chunks > 60 && measured.bytes >= 200_000);
    let one = Duration::from_millis(1);
    assert_eq!(
        [measured.ingest, measured.refresh, measured.query_p50, measured.query_p99],
        [one; 4]
    );
    assert_eq!(measured.bytes_per_s(), measured.bytes as f64 * 1_000.0);
}

#[test]
fn the_synthetic_corpus_is_the_same_every_time() {
    let tree = Tree::new(&[]);
    let n_bytes = write_corpus(&tree.path("a"), 60_000, 7).unwrap();
    assert_eq!(write_corpus(&tree.path("b"), 60_000, 7).unwrap(), n_bytes);
    assert!((60_000..120_000).contains(&n_bytes));
    let read = |dir: &str, i: u32| {
        std::fs::read_to_string(tree.path(dir).join(format!("part-000/page-{i:05}.md"))).unwrap()
    };
    assert_eq!((read("a", 0), read("a", 2)), (read("b", 0), read("b", 2)));
    assert_ne!(read("a", 0), read("a", 1));
}
