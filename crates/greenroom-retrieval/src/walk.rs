//! Finds the files under the roots, and says how their paths are shown. Reads no file.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::UNIX_EPOCH;

use ignore::WalkBuilder;

use crate::error::{CorpusError, CorpusErrorKind};
use crate::report::{NoticeCode, Notices, Progress};
use crate::store::DIR_PREFIX;

/// A root as the caller wrote it and where it really is.
#[derive(Debug, Clone)]
pub(crate) struct Root {
    pub(crate) given: PathBuf,
    pub(crate) real: PathBuf,
}

/// What tells whether a file has changed since it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Stamp {
    pub(crate) size: u64,
    pub(crate) modified_ns: i64,
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let modified_ns = metadata.modified().map_or(0, |at| match at.duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
        });
        Self { size: metadata.len(), modified_ns }
    }
}

/// The files under the roots by their real path, which is the key they have in the index.
pub(crate) type Found = BTreeMap<String, Stamp>;

/// Resolves the roots.
pub(crate) fn resolve(roots: &[PathBuf]) -> Result<Vec<Root>, CorpusError> {
    if roots.is_empty() {
        return Err(CorpusError::new(CorpusErrorKind::Empty));
    }
    roots.iter().map(|given| resolve_one(given)).collect()
}

fn resolve_one(given: &Path) -> Result<Root, CorpusError> {
    let fail = |error: io::Error| {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => CorpusErrorKind::Missing,
            _ => CorpusErrorKind::Unreadable,
        };
        CorpusError::new(kind).at(given).because(error)
    };
    let real = fs::canonicalize(given).map_err(fail)?;
    let metadata = fs::metadata(&real).map_err(fail)?;
    if metadata.is_dir() {
        fs::read_dir(&real).map_err(fail)?;
    } else if metadata.is_file() {
        File::open(&real).map_err(fail)?;
    } else {
        return Err(CorpusError::new(CorpusErrorKind::Unreadable).at(given));
    }
    Ok(Root { given: given.to_path_buf(), real })
}

/// Lists the files under the roots. Hidden files are left out, as is what `.gitignore` and `.ignore`
/// files name, and every directory that is the index of a corpus. Symbolic links are not followed, so a loop is harmless.
pub(crate) fn walk(roots: &[Root], progress: &Progress, notices: &mut Notices) -> Found {
    let mut found = Found::new();
    for root in roots {
        let mut builder = WalkBuilder::new(&root.real);
        // The same tree is the same corpus, on whosever machine and in or out of a repository.
        builder.require_git(false).git_global(false).follow_links(false);
        builder.filter_entry(|entry| !is_store(entry.file_name()));
        for entry in builder.build() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    notices.add(NoticeCode::UnreadableFile, Some(&error.to_string()));
                    continue;
                }
            };
            let shown = || shown(roots, entry.path());
            let Some(kind) = entry.file_type() else { continue };
            if kind.is_symlink() {
                notices.add(NoticeCode::Symlink, Some(&shown()));
            }
            if !kind.is_file() {
                continue;
            }
            let Some(key) = entry.path().to_str() else {
                notices.add(NoticeCode::PathNotUtf8, Some(&shown()));
                continue;
            };
            match entry.metadata() {
                Ok(metadata) => {
                    if found.insert(key.to_owned(), Stamp::of(&metadata)).is_none() {
                        progress.saw_file();
                    }
                }
                Err(_) => notices.add(NoticeCode::Vanished, Some(&shown())),
            }
        }
    }
    found
}

/// Whether a directory is called as those of [`crate::store`] are.
fn is_store(name: &OsStr) -> bool {
    let key = name.to_str().and_then(|name| name.strip_prefix(DIR_PREFIX));
    key.is_some_and(|key| key.len() == 16 && key.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// A path as the caller would write it: below the root as it was given, separated by `/`, without a
/// leading `./`.
pub(crate) fn shown(roots: &[Root], real: &Path) -> String {
    let below = roots.iter().find_map(|root| {
        let rest = real.strip_prefix(&root.real).ok()?;
        Some(root.given.components().chain(rest.components()).collect::<Vec<_>>())
    });
    let components = below.unwrap_or_else(|| real.components().collect());
    let mut text = String::new();
    for component in components {
        match component {
            Component::CurDir => continue,
            Component::RootDir => {
                text.push('/');
                continue;
            }
            _ => {}
        }
        if !text.is_empty() && !text.ends_with('/') {
            text.push('/');
        }
        text.push_str(&component.as_os_str().to_string_lossy());
    }
    text
}
