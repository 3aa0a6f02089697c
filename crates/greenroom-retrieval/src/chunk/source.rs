//! Where the blocks of a source file begin. Knows no language: a top-level item begins at the left
//! margin after a blank line, and a comment that touches the item is part of its block.

use super::pack::Block;
use crate::lines::Lines;

/// The top-level blocks of a source text.
pub(super) fn blocks(lines: &Lines<'_>) -> Vec<Block> {
    let begins = |i: usize| {
        if i == 0 {
            return true;
        }
        // A closing bracket at the margin ends an item, whatever stands before it.
        let first = lines.get(i).chars().next();
        first.is_some_and(|first| !first.is_whitespace() && !matches!(first, '}' | ')' | ']'))
            && lines.is_blank(i - 1)
    };
    Block::between(lines, (0..lines.len()).filter(|&i| begins(i)).map(|start| (start, None)))
}
