//! Embeds the project's documentation, which the demo answers from when it is run elsewhere.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

fn main() -> io::Result<()> {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let docs = here.join("../../docs");
    println!("cargo::rerun-if-changed={}", docs.display());
    let mut list = String::from("&[\n");
    for page in pages(&docs)? {
        let name = page.file_name().unwrap_or_default().to_string_lossy();
        // A debug string is a string literal, whatever the path holds.
        let text = format!("include_str!({:?})", page.display().to_string());
        writeln!(list, "    ({name:?}, {text}),").map_err(io::Error::other)?;
    }
    list.push_str("]\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("docs.rs"), list)
}

/// The Markdown files of a directory, in the order of their names; none when it does not exist.
fn pages(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let Ok(entries) = fs::read_dir(dir) else { return Ok(Vec::new()) };
    let mut pages = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path.canonicalize()?);
        }
    }
    pages.sort();
    Ok(pages)
}
