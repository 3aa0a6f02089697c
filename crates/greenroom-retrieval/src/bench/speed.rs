//! Speed on a corpus that is made for the purpose: how fast it is indexed, how soon an unchanged
//! one is open again, how long a query takes.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use greenroom_core::random::SplitMix64;
use greenroom_core::retriever::{Query, Retriever};
use greenroom_core::time::Clock;

use super::{BenchError, BenchErrorKind};
use crate::analyze::STOP_WORDS;
use crate::corpus::Corpus;
use crate::options::CorpusOptions;

/// The bytes of one synthetic file.
const FILE_BYTES: usize = 24 << 10;
/// The distinct words of the synthetic language, stop words included.
const N_WORDS: usize = 60_000;

/// What is measured.
#[derive(Debug, Clone)]
pub struct SpeedOptions {
    dir: PathBuf,
    bytes: u64,
    n_queries: usize,
}

impl SpeedOptions {
    /// Measures in a directory of the caller's, which is filled and left behind: 180 MB of text, which
    /// make above 100,000 passages, and 500 queries.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), bytes: 180_000_000, n_queries: 500 }
    }

    /// The size of the corpus.
    #[must_use]
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }

    /// The number of queries.
    #[must_use]
    pub fn n_queries(mut self, n: usize) -> Self {
        self.n_queries = n;
        self
    }
}

/// What was measured.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Speed {
    /// The files that were indexed.
    pub n_files: u64,
    /// The passages that they make.
    pub n_chunks: u64,
    /// The bytes that were read.
    pub bytes: u64,
    /// Opening the corpus for the first time, until it can be searched.
    pub ingest: Duration,
    /// Opening it again with nothing changed.
    pub refresh: Duration,
    /// Half of the queries are faster.
    pub query_p50: Duration,
    /// Ninety-nine of a hundred queries are faster.
    pub query_p99: Duration,
}

impl Speed {
    /// Bytes indexed per second.
    #[must_use]
    pub fn bytes_per_s(&self) -> f64 {
        self.bytes as f64 / self.ingest.as_secs_f64().max(1e-9)
    }
}

/// Makes a corpus, indexes it, opens it again, and asks it.
///
/// # Errors
///
/// [`BenchError`] when the corpus cannot be written or indexed.
///
/// # Cancel safety
///
/// Dropping the future leaves the directory as far as it was filled.
pub async fn speed(options: &SpeedOptions, clock: &dyn Clock) -> Result<Speed, BenchError> {
    let files = options.dir.join("corpus");
    write_corpus(&files, options.bytes, 1)
        .map_err(|error| BenchError::new(BenchErrorKind::Unwritable, &files).because(error))?;
    let failed = |error: io::Error| BenchError::new(BenchErrorKind::Index, &files).because(error);
    let corpus_options = CorpusOptions::new([&files]).store_dir(options.dir.join("store"));
    let open = || Corpus::open(corpus_options.clone());

    let begun_at = clock.elapsed();
    let report = open().await.map_err(|error| failed(io::Error::other(error)))?.report().clone();
    let ingest = clock.elapsed().saturating_sub(begun_at);
    let begun_at = clock.elapsed();
    let corpus = open().await.map_err(|error| failed(io::Error::other(error)))?;
    let refresh = clock.elapsed().saturating_sub(begun_at);

    let mut language = Language::new(2);
    let mut times = Vec::with_capacity(options.n_queries);
    for i in 0..options.n_queries.max(1) {
        let mut query = String::new();
        for _ in 0..4 + i % 9 {
            query.push_str(language.word());
            query.push(' ');
        }
        let begun_at = clock.elapsed();
        corpus.search(Query::new(query)).await.map_err(|error| failed(io::Error::other(error)))?;
        times.push(clock.elapsed().saturating_sub(begun_at));
    }
    times.sort();
    Ok(Speed {
        n_files: report.n_files,
        n_chunks: report.n_chunks,
        bytes: report.bytes_read,
        ingest,
        refresh,
        query_p50: times[times.len() / 2],
        query_p99: times[times.len() * 99 / 100],
    })
}

/// Writes Markdown files of at least so many bytes in all below `dir`, a hundred to a directory. The
/// same size and seed give the same files, byte for byte. Returns the bytes written.
///
/// # Errors
///
/// An I/O error when a file cannot be written.
pub fn write_corpus(dir: &Path, bytes: u64, seed: u64) -> io::Result<u64> {
    let mut language = Language::new(seed);
    let (mut n_written, mut n_files) = (0, 0);
    while n_written < bytes {
        let below = dir.join(format!("part-{:03}", n_files / 100));
        if n_files % 100 == 0 {
            std::fs::create_dir_all(&below)?;
        }
        let text = language.file();
        std::fs::write(below.join(format!("page-{n_files:05}.md")), &text)?;
        n_written += text.len() as u64;
        n_files += 1;
    }
    Ok(n_written)
}

/// A language of made-up words, the frequencies of which fall as they do in English.
struct Language {
    words: Vec<String>,
    /// Cumulated frequencies (Zipf).
    below: Vec<f64>,
    random: SplitMix64,
}

impl Language {
    fn new(seed: u64) -> Self {
        const SYLLABLES: [&str; 32] = [
            "ba", "cor", "den", "el", "fi", "gra", "hu", "in", "jo", "kel", "lo", "mar", "ni",
            "or", "pel", "qua", "ri", "sta", "tu", "ul", "ver", "wi", "ex", "yn", "za", "chi",
            "dro", "fle", "gno", "phi", "sci", "thy",
        ];
        let mut words: Vec<String> = STOP_WORDS.iter().map(|word| (*word).to_owned()).collect();
        for i in words.len()..N_WORDS {
            // Base 32 with a mixed order, so that frequent words are not all alike.
            let mut rest = (i as u64).wrapping_mul(0x9e37_79b9) & 0xf_ffff;
            let mut word = String::new();
            while rest > 0 {
                word.push_str(SYLLABLES[(rest % 32) as usize]);
                rest /= 32;
            }
            words.push(word);
        }
        let mut sum = 0.0;
        let below = (1..=words.len())
            .map(|rank| {
                sum += 1.0 / rank as f64;
                sum
            })
            .collect();
        Self { words, below, random: SplitMix64::new(seed) }
    }

    fn word(&mut self) -> &str {
        let total = self.below[self.below.len() - 1];
        let at = self.random.unit() * total;
        let rank = self.below.partition_point(|&below| below < at);
        &self.words[rank.min(self.words.len() - 1)]
    }

    /// A page of sections and paragraphs.
    fn file(&mut self) -> String {
        let mut text = String::from("# ");
        self.words_into(&mut text, 3);
        while text.len() < FILE_BYTES {
            text.push_str("\n\n## ");
            self.words_into(&mut text, 3);
            for _ in 0..2 + self.random.bits() % 3 {
                text.push_str("\n\n");
                let n_words = 60 + (self.random.bits() % 80) as usize;
                self.words_into(&mut text, n_words);
            }
        }
        text.push('\n');
        text
    }

    fn words_into(&mut self, text: &mut String, n: usize) {
        for i in 0..n {
            let gap = match i {
                0 => "",
                _ if i % 12 == 0 => "\n",
                _ => " ",
            };
            let word = self.word();
            // Writing to a string cannot fail.
            let _ = write!(text, "{gap}{word}");
        }
    }
}
