//! Blocks: a passage cut into headings, paragraphs, list items, table rows and lines of code. Reads
//! enough of markdown for that, and plain text as paragraphs.

/// A block of a passage; every text is a slice of the passage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Block<'a> {
    Heading(&'a str),
    Paragraph(&'a str),
    Item(&'a str),
    Row { text: &'a str, header: String },
    Code(&'a str),
}

/// The blocks of a passage, in its order. Rules, fences, raw HTML and link definitions are left out.
pub(super) fn blocks(passage: &str) -> Vec<Block<'_>> {
    let mut reader = Reader { passage, blocks: Vec::new(), open: None, fence: None, header: None };
    let mut start = 0;
    for line in passage.split_inclusive('\n') {
        reader.line(start, line);
        start += line.len();
    }
    reader.close();
    reader.blocks
}

struct Reader<'a> {
    passage: &'a str,
    blocks: Vec<Block<'a>>,
    /// The paragraph or item being read: its first and last byte, and whether it is an item.
    open: Option<(usize, usize, bool)>,
    /// The marks of the fence that we are in.
    fence: Option<&'a str>,
    /// The header of the table that we are in.
    header: Option<String>,
}

impl<'a> Reader<'a> {
    fn line(&mut self, start: usize, line: &'a str) {
        let (text, is_quoted) = unquoted(line.trim());
        if let Some(mark) = fence_mark(text) {
            self.close();
            match self.fence {
                None => self.fence = Some(mark),
                Some(open) if mark.starts_with(open) => self.fence = None,
                Some(_) => {}
            }
        } else if self.fence.is_some() {
            if !text.is_empty() {
                self.blocks.push(Block::Code(text));
            }
        } else if text.is_empty() || is_html(text) || is_definition(text) {
            self.close();
            self.header = None;
        } else if is_underline(text) {
            self.underline(text);
        } else if is_table_rule(text) {
            self.close_as_header();
        } else if text.starts_with('|') || self.header.is_some() && text.contains('|') {
            self.close();
            let header = self.header.clone().unwrap_or_default();
            self.blocks.push(Block::Row { text, header });
        } else if is_heading(text) {
            self.close();
            self.blocks.push(Block::Heading(text));
        } else {
            self.text(start + offset_in(line, text), text, is_quoted);
        }
    }

    fn text(&mut self, start: usize, text: &'a str, is_quoted: bool) {
        let item = item_text(text);
        let end = start + text.len();
        match (item, &mut self.open) {
            (None, Some(open)) if !is_quoted => open.1 = end,
            (None, _) => {
                self.close();
                self.open = Some((start, end, false));
            }
            (Some(item), _) => {
                self.close();
                self.open = Some((end - item.len(), end, true));
            }
        }
    }

    fn close(&mut self) {
        if let Some((start, end, is_item)) = self.open.take() {
            let text = &self.passage[start..end];
            self.blocks.push(if is_item { Block::Item(text) } else { Block::Paragraph(text) });
        }
    }

    /// `===` or `---` below a single line makes it a heading.
    fn underline(&mut self, text: &str) {
        let is_one_line = |&(start, end, is_item): &(usize, usize, bool)| {
            !is_item && !self.passage[start..end].contains('\n')
        };
        match self.open.filter(is_one_line) {
            Some((start, end, _)) if text.starts_with(['=', '-']) => {
                self.open = None;
                self.blocks.push(Block::Heading(&self.passage[start..end]));
            }
            _ => self.close(),
        }
    }

    /// The row above `|---|---|` names the columns and is no row of its own.
    fn close_as_header(&mut self) {
        if let Some((start, end, _)) = self.open.take() {
            self.header = Some(self.passage[start..end].to_owned());
        } else if let Some(Block::Row { text, .. }) = self.blocks.last() {
            self.header = Some((*text).to_owned());
            self.blocks.pop();
        }
    }
}

/// The byte of `line` at which `text`, a part of it, starts.
fn offset_in(line: &str, text: &str) -> usize {
    text.as_ptr() as usize - line.as_ptr() as usize
}

/// A line without the marks of block quotes and doc comments, and whether it had any.
fn unquoted(line: &str) -> (&str, bool) {
    let text = ["//! ", "/// "].iter().find_map(|mark| line.strip_prefix(mark)).unwrap_or(line);
    let text = if matches!(line, "//!" | "///") { "" } else { text };
    let text = text.trim_start_matches(['>', ' ', '\t']);
    (text, text.len() < line.len())
}

fn fence_mark(text: &str) -> Option<&str> {
    let len = text.len() - text.trim_start_matches(['`', '~']).len();
    let closes = text[len..].contains('`');
    (len >= 3 && !closes).then(|| &text[..len])
}

fn is_heading(text: &str) -> bool {
    let title = text.trim_start_matches('#');
    (1..=6).contains(&(text.len() - title.len())) && (title.is_empty() || title.starts_with(' '))
}

fn is_underline(text: &str) -> bool {
    text.len() >= 3
        && ['=', '-', '*', '_']
            .iter()
            .any(|mark| text.chars().all(|char| char == *mark || char == ' '))
}

fn is_table_rule(text: &str) -> bool {
    text.contains('|') && text.contains('-') && text.chars().all(|char| "|-: ".contains(char))
}

fn is_html(text: &str) -> bool {
    let tag = text.trim_start_matches(['<', '/', '!']);
    text.starts_with('<')
        && tag.starts_with(|char: char| char.is_ascii_alphabetic() || char == '-')
        && !text.starts_with("<http")
}

/// `[name]: address`
fn is_definition(text: &str) -> bool {
    text.starts_with('[')
        && text.find("]:").is_some_and(|i| !text[..i].contains(' ') || text[i..].contains("http"))
}

/// What follows the marker of a list item; `None` when the line is none.
pub(super) fn item_text(text: &str) -> Option<&str> {
    let digits = text.len() - text.trim_start_matches(|char: char| char.is_ascii_digit()).len();
    let rest = if (1..=3).contains(&digits) {
        text[digits..].strip_prefix(['.', ')'])?
    } else {
        text.strip_prefix(['-', '*', '+', '•'])?
    };
    let item = rest.strip_prefix([' ', '\t'])?.trim_start();
    let boxes = ["[ ] ", "[x] ", "[X] "];
    Some(boxes.iter().find_map(|mark| item.strip_prefix(mark)).unwrap_or(item))
}
