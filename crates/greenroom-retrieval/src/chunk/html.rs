//! The text of an HTML page as a reader sees it, with the source line of each of its lines.
//!
//! The page is turned into plain lines first, and those are cut like any other text; a table that
//! maps each of them to the line of the file it stands on makes the citation right. Invisible are
//! tags, comments, scripts and styles. Spaces are collapsed, except inside `pre`.

use html5gum::Token;
use html5gum::emitters::default::DefaultEmitter;

use super::pack::Block;
use super::{Chunk, from_blocks, line_number};
use crate::lines::Lines;

/// Cuts a page into chunks whose spans refer to the file.
pub(super) fn chunks(text: &str, lines: &Lines<'_>) -> Vec<Chunk> {
    let page = Page::read(text, lines);
    let visible = Lines::new(&page.text);
    let blocks = Block::between(&visible, page.starts.into_iter());
    let mut chunks = from_blocks(&visible, &blocks);
    let place = |n: u32| line_number(page.places[n as usize - 1]);
    for chunk in &mut chunks {
        (chunk.start_line, chunk.end_line) = (place(chunk.start_line), place(chunk.end_line));
    }
    chunks
}

/// A page being read.
#[derive(Debug, Default)]
struct Page {
    /// The visible lines, each with its `\n`.
    text: String,
    /// For each visible line, the line of the file.
    places: Vec<usize>,
    /// Where blocks begin, in visible lines.
    starts: Vec<(usize, Option<(u8, String)>)>,
    /// The visible line that is being written, and where it stands.
    line: String,
    place: usize,
    /// The next text begins a block.
    at_break: bool,
    pre: bool,
    heading: Option<u8>,
}

impl Page {
    fn read(text: &str, lines: &Lines<'_>) -> Self {
        let mut emitter = DefaultEmitter::<usize>::new_with_span();
        emitter.naively_switch_states(true);
        let mut page = Self { at_break: true, ..Self::default() };
        let mut skipped: Option<Vec<u8>> = None;
        for token in html5gum::Tokenizer::new_with_emitter(text, emitter) {
            let Ok(token) = token;
            match token {
                Token::StartTag(tag) if skipped.is_none() => {
                    if is_invisible(&tag.name) && !tag.self_closing {
                        skipped = Some(tag.name.0);
                    } else {
                        page.open(&tag.name);
                    }
                }
                Token::EndTag(tag) => match &skipped {
                    Some(name) if *name == tag.name.0 => skipped = None,
                    Some(_) => {}
                    None => page.close(&tag.name),
                },
                Token::String(words) if skipped.is_none() => {
                    let (first, last) = (lines.at(words.span.start), lines.at(words.span.end));
                    page.write(&String::from_utf8_lossy(&words.value), first, last);
                }
                _ => {}
            }
        }
        page.break_block();
        page
    }

    fn open(&mut self, tag: &[u8]) {
        match tag {
            b"br" => self.break_line(),
            b"td" | b"th" => self.line.push(' '),
            _ if is_inline(tag) => {}
            _ => self.break_block(),
        }
        match tag {
            b"pre" => self.pre = true,
            b"title" => self.heading = Some(0),
            [b'h', level @ b'1'..=b'6'] => self.heading = Some(level - b'0'),
            _ => {}
        }
    }

    fn close(&mut self, tag: &[u8]) {
        if !is_inline(tag) {
            self.break_block();
        }
        if tag == b"pre" {
            self.pre = false;
        }
    }

    /// Adds visible text that stands on the lines `first` to `last` of the file.
    fn write(&mut self, words: &str, first: usize, last: usize) {
        for (i, part) in words.split('\n').enumerate() {
            if i > 0 {
                self.break_line();
            }
            for c in part.chars() {
                if self.line.trim_end().is_empty() {
                    self.place = (first + i).min(last);
                }
                if !c.is_whitespace() {
                    self.line.push(c);
                } else if self.pre || !(self.line.is_empty() || self.line.ends_with(' ')) {
                    self.line.push(' ');
                }
            }
        }
    }

    fn break_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let line = line.trim_end();
        if line.is_empty() {
            return;
        }
        if self.at_break {
            if !self.places.is_empty() {
                self.text.push('\n');
                self.places.push(self.place);
            }
            self.starts.push((self.places.len(), self.heading.map(|level| (level, String::new()))));
            self.at_break = false;
        }
        if let Some((_, Some((_, heading)))) = self.starts.last_mut()
            && self.heading.is_some()
        {
            if !heading.is_empty() {
                heading.push(' ');
            }
            heading.push_str(line.trim_start());
        }
        self.text.push_str(line);
        self.text.push('\n');
        self.places.push(self.place);
    }

    fn break_block(&mut self) {
        self.break_line();
        self.at_break = true;
        self.heading = None;
    }
}

fn is_invisible(tag: &[u8]) -> bool {
    matches!(tag, b"script" | b"style" | b"noscript" | b"iframe" | b"noembed" | b"noframe")
}

/// Tags that do not end a paragraph; every other one does, known or not.
fn is_inline(tag: &[u8]) -> bool {
    matches!(
        tag,
        b"a" | b"abbr"
            | b"b"
            | b"bdi"
            | b"bdo"
            | b"cite"
            | b"code"
            | b"data"
            | b"del"
            | b"dfn"
            | b"em"
            | b"font"
            | b"i"
            | b"img"
            | b"ins"
            | b"kbd"
            | b"mark"
            | b"q"
            | b"s"
            | b"samp"
            | b"small"
            | b"span"
            | b"strong"
            | b"sub"
            | b"sup"
            | b"time"
            | b"tt"
            | b"u"
            | b"var"
            | b"wbr"
            | b"td"
            | b"th"
            | b"tbody"
            | b"thead"
            | b"br"
    )
}
