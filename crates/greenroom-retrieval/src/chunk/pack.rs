//! Packs blocks into chunks of a size that ranks and reads well, and cuts blocks that are too big.

use std::ops::Range;

use crate::lines::Lines;

/// A chunk is closed once it weighs this much and another block does not fit.
const WEIGHT_MIN: usize = 120;
/// A chunk of several blocks weighs at most this. About a page: enough to answer from, short
/// enough that a match says something about the whole.
pub(super) const WEIGHT_MAX: usize = 250;
/// A single block (a table, a list, a listing, a function) is kept whole up to this weight.
const WEIGHT_WHOLE_MAX: usize = 400;
/// Text without spaces weighs one word per so many bytes.
const BYTES_PER_WORD: usize = 12;
/// A longer heading is taken for text.
const HEADING_BYTES_MAX: usize = 300;

/// Consecutive lines that belong together.
#[derive(Debug, Clone)]
pub(super) struct Block {
    /// The lines, trailing blank ones included.
    pub(super) lines: Range<usize>,
    /// The size in words, or in twelfths of a byte where words are long.
    pub(super) weight: usize,
    /// The level and text, when the block is a heading.
    pub(super) heading: Option<(u8, String)>,
    /// Better places to cut than any blank line: the items of a list.
    pub(super) seams: Vec<usize>,
    /// The bytes of the one line that this block is a part of.
    pub(super) slice: Option<Range<usize>>,
}

impl Block {
    /// The blocks that begin at these lines; together they cover every line.
    pub(super) fn between(
        lines: &Lines<'_>,
        starts: impl Iterator<Item = (usize, Option<(u8, String)>)>,
    ) -> Vec<Self> {
        let mut blocks: Vec<Self> = Vec::new();
        for (start, heading) in starts {
            if let Some(last) = blocks.last_mut() {
                if start <= last.lines.start {
                    continue;
                }
                last.lines.end = start;
            }
            let start = if blocks.is_empty() { 0 } else { start };
            blocks.push(Self::of(start..lines.len(), heading));
        }
        if blocks.is_empty() {
            blocks.push(Self::of(0..lines.len(), None));
        }
        for block in &mut blocks {
            if block.heading.as_ref().is_some_and(|(_, text)| text.len() > HEADING_BYTES_MAX) {
                block.heading = None;
            }
            block.weight = block.lines.clone().map(|i| weight(lines.get(i))).sum();
        }
        blocks
    }

    fn of(lines: Range<usize>, heading: Option<(u8, String)>) -> Self {
        Self { lines, weight: 0, heading, seams: Vec::new(), slice: None }
    }
}

/// How much a text weighs: its words, or its bytes where the words are unnaturally long.
pub(super) fn weight(text: &str) -> usize {
    text.split_ascii_whitespace().count().max(text.len() / BYTES_PER_WORD)
}

/// Cuts every block that is too heavy to be kept whole.
pub(super) fn split_heavy(lines: &Lines<'_>, blocks: &[Block]) -> Vec<Block> {
    let mut split = Vec::with_capacity(blocks.len());
    for block in blocks {
        if block.weight <= WEIGHT_WHOLE_MAX || block.heading.is_some() {
            split.push(block.clone());
            continue;
        }
        let mut start = block.lines.start;
        for &seam in block.seams.iter().filter(|&&seam| seam > block.lines.start) {
            split_lines(lines, start..seam, &mut split);
            start = seam;
        }
        split_lines(lines, start..block.lines.end, &mut split);
    }
    split
}

/// Cuts lines into blocks of at most [`WEIGHT_MAX`], at a blank line where there is one.
fn split_lines(lines: &Lines<'_>, range: Range<usize>, into: &mut Vec<Block>) {
    let mut push = |lines: Range<usize>, weight, slice| {
        if !lines.is_empty() {
            into.push(Block { lines, weight, heading: None, seams: Vec::new(), slice });
        }
    };
    let (mut start, mut sum) = (range.start, 0);
    let mut blank: Option<(usize, usize)> = None;
    for i in range.clone() {
        let line = lines.get(i);
        let line_weight = weight(line);
        if line_weight > WEIGHT_WHOLE_MAX {
            push(start..i, sum, None);
            for slice in slices(line) {
                push(i..i + 1, WEIGHT_MAX, Some(slice));
            }
            (start, sum, blank) = (i + 1, 0, None);
            continue;
        }
        if sum + line_weight > WEIGHT_MAX {
            let (cut, before) =
                blank.filter(|&(_, before)| before * 3 >= WEIGHT_MAX).unwrap_or((i, sum));
            push(start..cut, before, None);
            (start, sum, blank) = (cut, sum - before, None);
        }
        sum += line_weight;
        if line.trim().is_empty() {
            blank = Some((i + 1, sum));
        }
    }
    push(start..range.end, sum, None);
}

/// Cuts one long line at character boundaries, after a space where there is one near.
fn slices(line: &str) -> Vec<Range<usize>> {
    const BYTES: usize = WEIGHT_MAX * BYTES_PER_WORD / 2;
    let mut slices = Vec::new();
    let mut start = 0;
    while start < line.len() {
        let mut end = (start + BYTES).min(line.len());
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        let space = line[start..end].rfind(' ').filter(|&space| space > BYTES / 2);
        if let Some(space) = space.filter(|_| end < line.len()) {
            end = start + space + 1;
        }
        slices.push(start..end);
        start = end;
    }
    slices
}

/// Blocks that make one chunk.
#[derive(Debug)]
pub(super) struct Group {
    /// Indices into the blocks.
    pub(super) blocks: Range<usize>,
    /// The headings above, outermost first.
    pub(super) heading: Vec<String>,
    /// Whether the innermost heading's own line is in the group.
    pub(super) begins_section: bool,
}

/// Groups consecutive blocks: a heading opens a group, and a group is closed when the next block
/// would make it too heavy. Headings without text of their own stay with what follows.
pub(super) fn group(blocks: &[Block]) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut path: Vec<(u8, &str)> = Vec::new();
    let (mut start, mut sum, mut has_body, mut begins) = (0, 0, false, false);
    let mut close = |range: Range<usize>, path: &[(u8, &str)], begins_section| {
        if !range.is_empty() {
            let mut heading: Vec<String> = path
                .iter()
                .map(|(_, text)| (*text).to_owned())
                .filter(|text| !text.is_empty())
                .collect();
            // A page's title is often its first heading as well.
            heading.dedup();
            groups.push(Group { blocks: range, heading, begins_section });
        }
    };
    for (i, block) in blocks.iter().enumerate() {
        let full = sum + block.weight > WEIGHT_MAX
            && (sum >= WEIGHT_MIN || sum + block.weight > WEIGHT_WHOLE_MAX);
        let cut = block.slice.is_some() || (i > start && blocks[i - 1].slice.is_some());
        if i > start && ((has_body && (block.heading.is_some() || full)) || cut) {
            close(start..i, &path, begins);
            (start, sum, has_body, begins) = (i, 0, false, false);
        }
        if let Some((level, text)) = &block.heading {
            path.retain(|(above, _)| above < level);
            path.push((*level, text));
            begins = true;
        } else if block.weight > 0 {
            has_body = true;
        }
        sum += block.weight;
    }
    close(start..blocks.len(), &path, begins);
    groups
}
