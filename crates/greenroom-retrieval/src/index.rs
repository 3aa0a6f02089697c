//! What a chunk is in the full-text index: its fields, and the way there and back.

use std::path::Path;

use tantivy::schema::{
    FAST, Field, IndexRecordOption, STORED, STRING, Schema, TextFieldIndexing, TextOptions, Value,
};
use tantivy::{Index, IndexReader, ReloadPolicy, TantivyDocument};

use crate::analyze::{Analyzer, IndexTokenizer, TOKENIZER};
use crate::chunk::Chunk;

/// Changes whenever an index of an older version would be read wrongly or rank differently.
pub(crate) const FORMAT: u32 = 1;

/// The most words of a title that the second hop looks for in a text.
pub(crate) const TITLE_WORDS_MAX: usize = 6;

/// The fields of the index.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields {
    /// The file's real path: the key by which its chunks are deleted.
    pub(crate) path: Field,
    /// The line span, packed.
    lines: Field,
    /// The headings above, each a value.
    heading: Field,
    /// The chunk's text.
    pub(crate) body: Field,
    /// The words of the headings and of the file's name.
    pub(crate) title: Field,
    /// Hashes of the titles that this chunk is about; see [`title_keys`].
    title_key: Field,
    /// A number that depends on path and line alone; equals are told apart by it.
    tie: Field,
}

/// Blocks of stored text, of 16 KiB, that a reader keeps unpacked for each segment.
const STORE_CACHE_BLOCKS: usize = 256;

/// The fast field with the keys of titles.
pub(crate) const TITLE_KEY: &str = "title_key";
/// The fast field that tells equals apart, however the index is laid out.
pub(crate) const TIE: &str = "tie";

/// The schema of the index.
pub(crate) fn schema() -> (Schema, Fields) {
    let mut builder = Schema::builder();
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(TOKENIZER)
        .set_index_option(IndexRecordOption::WithFreqs);
    let text = TextOptions::default().set_indexing_options(indexing);
    let fields = Fields {
        path: builder.add_text_field("path", STRING | STORED),
        lines: builder.add_u64_field("lines", STORED),
        heading: builder.add_text_field("heading", STORED),
        body: builder.add_text_field("body", text.clone() | STORED),
        title: builder.add_text_field("title", text),
        title_key: builder.add_u64_field(TITLE_KEY, FAST),
        tie: builder.add_u64_field(TIE, FAST),
    };
    (builder.build(), fields)
}

/// Makes an index know the analysis of [`crate::analyze`].
pub(crate) fn prepare(index: &Index) {
    index.tokenizers().register(TOKENIZER, IndexTokenizer::default());
}

/// A reader of what is committed now; it does not watch for commits to come.
pub(crate) fn reader(index: &Index) -> tantivy::Result<IndexReader> {
    let builder = index.reader_builder().reload_policy(ReloadPolicy::Manual);
    builder.doc_store_cache_num_blocks(STORE_CACHE_BLOCKS).try_into()
}

impl Fields {
    /// The document of a chunk. `path` is the key of the file, `is_first` whether the chunk is the
    /// file's first.
    pub(crate) fn document(
        &self,
        path: &str,
        is_first: bool,
        chunk: Chunk,
        analyzer: &mut Analyzer,
    ) -> TantivyDocument {
        let name = file_title(path);
        let mut title = chunk.heading.join("\n");
        if !name.is_empty() {
            title.push('\n');
            title.push_str(&name);
        }
        let mut document = TantivyDocument::default();
        if is_first && !name.is_empty() {
            for key in title_keys(&name, analyzer) {
                document.add_u64(self.title_key, key);
            }
        }
        if chunk.begins_section
            && let Some(heading) = chunk.heading.last()
        {
            for key in title_keys(heading, analyzer) {
                document.add_u64(self.title_key, key);
            }
        }
        document.add_text(self.path, path);
        let lines = u64::from(chunk.start_line) << 32 | u64::from(chunk.end_line);
        document.add_u64(self.lines, lines);
        let mut tie = TitleKey::default();
        tie.push(path);
        document.add_u64(self.tie, tie.value() ^ lines);
        for heading in chunk.heading {
            document.add_text(self.heading, heading);
        }
        document.add_text(self.title, title);
        document.add_text(self.body, chunk.text);
        document
    }

    /// The path and chunk of a document; `None` when the index is not what it should be.
    pub(crate) fn chunk(&self, document: &TantivyDocument) -> Option<(String, Chunk)> {
        let path = document.get_first(self.path)?.as_str()?.to_owned();
        let lines = document.get_first(self.lines)?.as_u64()?;
        let heading = document
            .get_all(self.heading)
            .filter_map(|value| value.as_str().map(str::to_owned))
            .collect();
        let chunk = Chunk {
            start_line: (lines >> 32) as u32,
            end_line: lines as u32,
            heading,
            begins_section: false,
            text: document.get_first(self.body)?.as_str()?.to_owned(),
        };
        Some((path, chunk))
    }
}

/// The name of a file as a title: without its extension, and nothing when it says nothing.
fn file_title(path: &str) -> String {
    let name = Path::new(path).file_stem().and_then(|stem| stem.to_str()).unwrap_or("");
    match name.to_ascii_lowercase().as_str() {
        "readme" | "index" | "mod" | "lib" | "main" | "__init__" | "license" | "changelog" => "",
        _ => name,
    }
    .replace(['_', '-'], " ")
}

/// The keys by which a text that names this title is recognised: of the whole title, and of the
/// title without what is in parentheses at its end, which tells namesakes apart.
fn title_keys(title: &str, analyzer: &mut Analyzer) -> Vec<u64> {
    let mut keys = Vec::new();
    let bare = title.strip_suffix(')').and_then(|open| open.rsplit_once('('));
    let bare = bare.map(|(bare, _)| bare.trim_end());
    for variant in [Some(title), bare.filter(|bare| !bare.is_empty())].into_iter().flatten() {
        let mut key = TitleKey::default();
        let (mut n_words, mut n_stop) = (0, 0);
        analyzer.terms(variant, |term| {
            if !term.part {
                key.push(term.stem);
                n_words += 1;
                n_stop += usize::from(term.stop);
            }
        });
        if n_words > n_stop && n_words <= TITLE_WORDS_MAX && !keys.contains(&key.value()) {
            keys.push(key.value());
        }
    }
    keys
}

/// A hash of a sequence of terms that can be extended by a term at a time. It is stored in the
/// index, so it must not change between versions of the standard library: FNV-1a, 64 bit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TitleKey(u64);

impl Default for TitleKey {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl TitleKey {
    pub(crate) fn push(&mut self, stem: &str) {
        for byte in stem.bytes().chain([0xff]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    pub(crate) fn value(self) -> u64 {
        self.0
    }
}
