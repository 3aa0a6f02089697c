//! Where the blocks of a Markdown file begin. Reads structure only; the text stays as written.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::pack::Block;
use crate::lines::Lines;

/// The top-level blocks of a Markdown text; headings carry their level and plain text.
pub(super) fn blocks(text: &str, lines: &Lines<'_>) -> Vec<Block> {
    // Front matter must be recognised, or its closing `---` makes a heading of it.
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS
        | Options::ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS;
    let mut starts: Vec<(usize, Option<(u8, String)>)> = Vec::new();
    let mut seams: Vec<usize> = Vec::new();
    let mut heading: Option<(u8, String)> = None;
    let mut depth = 0_usize;
    for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
        match event {
            Event::Start(tag) => {
                if depth == 0 {
                    starts.push((lines.at(range.start), None));
                    if let Tag::Heading { level, .. } = &tag {
                        heading = Some((level_number(*level), String::new()));
                    }
                } else if depth == 1 && matches!(tag, Tag::Item) {
                    seams.push(lines.at(range.start));
                }
                depth += 1;
            }
            Event::End(tag) => {
                depth = depth.saturating_sub(1);
                if depth == 0 && matches!(tag, TagEnd::Heading(_)) {
                    let found = heading.take().map(|(level, text)| (level, text.trim().to_owned()));
                    if let Some(last) = starts.last_mut() {
                        last.1 = found;
                    }
                }
            }
            Event::Text(words) | Event::Code(words) => {
                if let Some((_, heading)) = &mut heading {
                    heading.push_str(&words);
                }
            }
            Event::SoftBreak | Event::HardBreak => {
                if let Some((_, heading)) = &mut heading {
                    heading.push(' ');
                }
            }
            Event::Rule if depth == 0 => starts.push((lines.at(range.start), None)),
            _ => {}
        }
    }
    let mut blocks = Block::between(lines, starts.into_iter());
    let mut seams = seams.into_iter().peekable();
    for block in &mut blocks {
        while let Some(seam) = seams.next_if(|&seam| seam < block.lines.end) {
            block.seams.push(seam);
        }
    }
    blocks
}

fn level_number(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}
