//! Where an index is kept: on disk with a manifest and a lock, or in memory.
//!
//! The directory of a corpus holds tantivy's files in `index/`, the lock, a manifest, and the vectors of its
//! passages, when an embedder made some. The
//! commit of the index names its manifest, so that the two can never belong to different moments:
//! a process that dies in between leaves the old commit with the old manifest.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tantivy::directory::error::LockError;
use tantivy::directory::{Directory, DirectoryLock, Lock, MmapDirectory};
use tantivy::{Index, IndexWriter};

use crate::index::{prepare, schema};
use crate::manifest::Manifest;
use crate::search::Engine;
use crate::vectors;
use crate::walk::Root;

/// How the directories of corpora are called, below the caller's directory.
pub(crate) const DIR_PREFIX: &str = "greenroom-index-";

/// An index and what it holds.
pub(crate) struct Store {
    pub(crate) index: Index,
    pub(crate) manifest: Manifest,
    pub(crate) shelf: Shelf,
}

/// The directory of a corpus, and the right to write there.
#[derive(Default)]
pub(crate) struct Shelf {
    /// `None` for memory.
    pub(crate) dir: Option<PathBuf>,
    /// Held for as long as the directory may be written; `None` when another process holds it.
    lock: Option<DirectoryLock>,
}

impl Shelf {
    /// Whether something may be written.
    pub(crate) fn is_ours(&self) -> bool {
        self.dir.is_none() || self.lock.is_some()
    }
}

/// What was found in a store directory.
pub(crate) enum Opened {
    /// An index to be brought up to date; empty when there was none.
    Ready(Store),
    /// As before, after something damaged or foreign was thrown away.
    Rebuilt(Store),
    /// Another process is writing; what it has committed can be searched.
    Busy(Store),
    /// Another process is writing and has committed nothing yet.
    BusyAndEmpty,
}

impl Store {
    /// An empty index in memory.
    pub(crate) fn in_memory() -> Self {
        let index = Index::create_in_ram(schema().0);
        prepare(&index);
        Self { index, manifest: Manifest::default(), shelf: Shelf::default() }
    }

    /// Opens or makes the index of these roots below `store_dir`.
    pub(crate) fn on_disk(store_dir: &Path, roots: &[Root]) -> io::Result<Opened> {
        let dir = store_dir.join(dir_name(roots));
        fs::create_dir_all(&dir)?;
        let lock = Lock { filepath: PathBuf::from("lock"), is_blocking: false };
        let lock = match MmapDirectory::open(&dir).map_err(io::Error::other)?.acquire_lock(&lock) {
            Ok(lock) => lock,
            Err(LockError::LockBusy) => {
                return Ok(match load(&dir).filter(|(_, manifest)| manifest.counts().1 > 0) {
                    Some((index, manifest)) => {
                        let shelf = Shelf { dir: Some(dir), lock: None };
                        Opened::Busy(Self { index, manifest, shelf })
                    }
                    None => Opened::BusyAndEmpty,
                });
            }
            Err(LockError::IoError(error)) => return Err(io::Error::other(error)),
        };
        if let Some((index, manifest)) = load(&dir) {
            let shelf = Shelf { dir: Some(dir), lock: Some(lock) };
            return Ok(Opened::Ready(Self { index, manifest, shelf }));
        }
        let unfinished = is_unfinished(&dir);
        let was_there = clear(&dir)? && !unfinished;
        fs::create_dir(dir.join("index"))?;
        let index =
            Index::create_in_dir(dir.join("index"), schema().0).map_err(io::Error::other)?;
        prepare(&index);
        let shelf = Shelf { dir: Some(dir), lock: Some(lock) };
        let store = Self { index, manifest: Manifest::default(), shelf };
        Ok(if was_there { Opened::Rebuilt(store) } else { Opened::Ready(store) })
    }

    /// Commits what was written together with the manifest that describes it.
    pub(crate) fn commit(&mut self, mut writer: IndexWriter, manifest: Manifest) -> io::Result<()> {
        let mut commit = writer.prepare_commit().map_err(io::Error::other)?;
        if let Some(dir) = &self.shelf.dir {
            let name = format!("manifest-{}", commit.opstamp());
            manifest.write(&dir.join(&name))?;
            commit.set_payload(&name);
            commit.commit().map_err(io::Error::other)?;
            remove_manifests_except(dir, &name)?;
        } else {
            commit.commit().map_err(io::Error::other)?;
        }
        writer.wait_merging_threads().map_err(io::Error::other)?;
        self.manifest = manifest;
        Ok(())
    }
}

/// Loads a committed index with its manifest; `None` when any byte of it cannot be trusted.
fn load(dir: &Path) -> Option<(Index, Manifest)> {
    let index = Index::open_in_dir(dir.join("index")).ok()?;
    let meta = index.load_metas().ok()?;
    let manifest = Manifest::decode(&fs::read(dir.join(meta.payload.as_ref()?)).ok()?)?;
    let n_chunks: u64 = meta.segments.iter().map(|segment| u64::from(segment.num_docs())).sum();
    if index.schema() != schema().0 || n_chunks != manifest.counts().1 {
        return None;
    }
    // Tantivy trusts what it reads, so everything is checked before it reads: a gigabyte of index
    // takes a tenth of a second.
    for entry in fs::read_dir(dir.join("index")).ok()? {
        let name = PathBuf::from(entry.ok()?.file_name());
        let id = name.to_str().and_then(|name| name.split('.').next()).unwrap_or("");
        let is_used = meta.segments.iter().any(|segment| segment.id().uuid_string() == id);
        if is_used && !index.directory().validate_checksum(&name).ok()? {
            return None;
        }
    }
    prepare(&index);
    // An engine opens every file of every segment, and so misses one that is not there.
    Engine::open(&index).ok()?;
    Some((index, manifest))
}

/// Whether there is nothing but the beginning of a first index, whose making was broken off.
fn is_unfinished(dir: &Path) -> bool {
    let meta = Index::open_in_dir(dir.join("index")).and_then(|index| index.load_metas());
    meta.is_ok_and(|meta| meta.payload.is_none() && meta.segments.is_empty())
}

/// Empties the directory but for the lock and the vectors, which are keyed by what passages say and so outlive
/// an index; says whether there was anything.
fn clear(dir: &Path) -> io::Result<bool> {
    let mut was_there = false;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name() == "lock" || entry.file_name() == vectors::FILE {
            continue;
        }
        was_there = true;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(was_there)
}

fn remove_manifests_except(dir: &Path, name: &str) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let found = entry.file_name();
        if found != name && found.to_string_lossy().starts_with("manifest-") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The name of the directory of these roots: the same whatever their order and spelling.
fn dir_name(roots: &[Root]) -> String {
    let mut paths: Vec<_> = roots.iter().map(|root| root.real.to_string_lossy()).collect();
    paths.sort_unstable();
    paths.dedup();
    let mut key = crate::index::TitleKey::default();
    for path in paths {
        key.push(&path);
    }
    format!("{DIR_PREFIX}{:016x}", key.value())
}

#[cfg(test)]
mod tests;
