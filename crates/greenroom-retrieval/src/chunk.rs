//! Cuts a text into passages that can be cited: chunks with a line span and the headings above.
//!
//! A chunk's text is exactly its lines joined by `\n`, with two exceptions. A line so long that it
//! is cut has several chunks with the same one-line span, and the chunks of an HTML file hold the
//! text that a reader sees on their lines, without the markup. Every line that is not blank is in
//! a chunk, and chunks do not overlap.
//!
//! Each format knows where its blocks begin; how blocks become chunks is in one place, [`pack`].

use std::path::Path;

use crate::lines::Lines;

mod html;
mod markdown;
mod pack;
mod source;
#[cfg(test)]
mod tests;

use pack::Block;

/// A passage of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// The first line, counted from 1.
    pub(crate) start_line: u32,
    /// The last line, inclusive.
    pub(crate) end_line: u32,
    /// The headings above, outermost first.
    pub(crate) heading: Vec<String>,
    /// Whether the section of the innermost heading begins in this chunk.
    pub(crate) begins_section: bool,
    /// The lines.
    pub(crate) text: String,
}

/// How a file is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Markdown,
    Html,
    Source,
    Text,
}

impl Format {
    /// The format that a file's extension promises; plain text when it promises nothing.
    pub(crate) fn of(path: &Path) -> Self {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
        match extension.to_ascii_lowercase().as_str() {
            "md" | "markdown" | "mdown" | "mkd" | "mdx" => Self::Markdown,
            "html" | "htm" | "xhtml" => Self::Html,
            "rs" | "py" | "js" | "mjs" | "cjs" | "ts" | "tsx" | "jsx" | "go" | "c" | "h" | "cc"
            | "cpp" | "cxx" | "hpp" | "hh" | "java" | "kt" | "kts" | "scala" | "swift" | "rb"
            | "php" | "cs" | "fs" | "ml" | "mli" | "hs" | "ex" | "exs" | "erl" | "hrl" | "clj"
            | "lua" | "pl" | "pm" | "r" | "jl" | "dart" | "zig" | "nim" | "sh" | "bash" | "zsh"
            | "fish" | "ps1" | "sql" | "proto" | "graphql" | "tf" | "toml" | "yaml" | "yml"
            | "json" | "ini" | "cfg" | "conf" | "css" | "scss" | "less" | "vue" | "svelte"
            | "xml" | "cmake" | "gradle" | "mk" | "el" | "lisp" | "scm" | "v" | "vhd" | "asm"
            | "s" | "m" | "mm" => Self::Source,
            _ => Self::Text,
        }
    }
}

/// Cuts a text into chunks, in the order of the lines.
pub(crate) fn chunks(format: Format, text: &str) -> Vec<Chunk> {
    let lines = Lines::new(text);
    match format {
        Format::Html => html::chunks(text, &lines),
        Format::Markdown => from_blocks(&lines, &markdown::blocks(text, &lines)),
        Format::Source => from_blocks(&lines, &source::blocks(&lines)),
        Format::Text => from_blocks(&lines, &paragraphs(&lines)),
    }
}

/// The chunks of a text whose blocks are whole lines.
fn from_blocks(lines: &Lines<'_>, blocks: &[Block]) -> Vec<Chunk> {
    let blocks = pack::split_heavy(lines, blocks);
    let mut chunks = Vec::new();
    for group in pack::group(&blocks) {
        let members = &blocks[group.blocks.clone()];
        let (first, last) = (&members[0], &members[members.len() - 1]);
        let span = lines.trim(first.lines.start..last.lines.end);
        if span.is_empty() {
            continue;
        }
        let text = match &first.slice {
            Some(slice) => lines.get(span.start)[slice.clone()].to_owned(),
            None => lines.join(span.clone()),
        };
        if text.trim().is_empty() {
            continue;
        }
        chunks.push(Chunk {
            start_line: line_number(span.start),
            end_line: line_number(span.end - 1),
            heading: group.heading,
            begins_section: group.begins_section,
            text,
        });
    }
    chunks
}

/// Blocks that begin where a line follows a blank one.
fn paragraphs(lines: &Lines<'_>) -> Vec<Block> {
    let starts =
        (0..lines.len()).filter(|&i| i == 0 || (!lines.is_blank(i) && lines.is_blank(i - 1)));
    Block::between(lines, starts.map(|start| (start, None)))
}

/// A line index as people count: from 1. Files are far below `u32::MAX` lines.
fn line_number(i: usize) -> u32 {
    u32::try_from(i + 1).unwrap_or(u32::MAX)
}
