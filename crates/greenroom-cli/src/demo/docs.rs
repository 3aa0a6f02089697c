//! The documentation that the demo answers from: the checkout's, or the copy inside the binary.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::exit::{Exit, Failure, Problem};

/// The pages of `docs/`, by name, as they were when the binary was built.
static PAGES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/docs.rs"));

/// The pages of the documentation. Those in `./docs` are taken when they are Greenroom's: the demo has
/// nothing to ask of another project's. Otherwise the copy is written below `store`, so that citations
/// lead to files that exist.
pub(super) fn corpus(store: Option<&Path>) -> Result<Vec<PathBuf>, Failure> {
    if PAGES.is_empty() {
        let problem = Problem::new(Exit::Config, "GR0108", "this build holds no documentation");
        return Err(problem.help("name a directory to answer from with --corpus").into());
    }
    let checkout = Path::new("docs");
    let pages_in = |dir: &Path| PAGES.iter().map(|(name, _)| dir.join(name)).collect::<Vec<_>>();
    let in_checkout = pages_in(checkout);
    if in_checkout.iter().all(|page| page.is_file()) {
        return Ok(in_checkout);
    }
    let dir = store.map_or_else(|| std::env::temp_dir().join("greenroom"), Path::to_path_buf);
    let dir = dir.join("demo/docs");
    unpack(PAGES, &dir).map_err(|error| {
        Failure::environment(&format!("{} cannot be written", dir.display()), &error)
    })?;
    Ok(pages_in(&dir))
}

/// Writes the pages that are not there yet, so that an index of them stays up to date.
fn unpack(pages: &[(&str, &str)], dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    for (name, text) in pages {
        let path = dir.join(name);
        if !fs::read(&path).is_ok_and(|there| there == text.as_bytes()) {
            fs::write(&path, text)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_build_holds_the_documentation() {
        let names: Vec<_> = PAGES.iter().map(|(name, _)| *name).collect();
        assert!(names.contains(&"semantics.md") && names.contains(&"errors.md"), "{names:?}");
    }

    #[test]
    fn pages_are_written_once_and_again_when_they_differ() {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let path = dir.path().join("docs/a.md");
        let unpack = |text| unpack(&[("a.md", text)], &dir.path().join("docs"));
        let modified =
            || fs::metadata(&path).and_then(|file| file.modified()).expect("it is there");
        unpack("one").expect("it can be written");
        let written_at = modified();
        unpack("one").expect("nothing is to be done");
        assert_eq!(modified(), written_at);
        unpack("two").expect("it can be written");
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "two");
    }
}
