//! What is left on the disk when the power goes: what was synced, and of the rest whatever the disk pleases.

use std::collections::BTreeMap;
use std::path::Path;

use greenroom_core::random::SplitMix64;

use super::vfs::{Op, apply};

/// The unit that a disk writes wholly or not at all.
const SECTOR_BYTES: usize = 512;

/// What becomes of what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// All of it is lost.
    All,
    /// None of it is: only the process died.
    Nothing,
    /// Each sector has its own luck, and the order of the writes is another one.
    Some(u64),
    /// The last write is cut after so many bytes; what came before it is there.
    Torn(usize),
}

/// A change of a file that is not on the disk yet.
#[derive(Debug, Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Truncate(u64),
}

#[derive(Debug, Clone, Default)]
struct File {
    durable: Vec<u8>,
    pending: Vec<Change>,
    /// Whether it is found by its name after a loss of power.
    is_named: bool,
    /// Whether it is found while there is power.
    is_there: bool,
    /// What the name leads to on the disk, when that is still the file before.
    before: Option<Vec<u8>>,
}

/// A disk that follows what was done to it.
#[derive(Debug, Clone, Default)]
pub(super) struct Platter {
    files: BTreeMap<String, File>,
    forgets_names: bool,
}

impl Platter {
    /// An empty one. To sync a new file is to sync its directory too, as SQLite sees to on a real disk, unless
    /// the names are forgotten.
    pub(super) fn new(forgets_names: bool) -> Self {
        Self { forgets_names, ..Self::default() }
    }

    fn file(&mut self, name: &str) -> &mut File {
        // What was never created was there before: the database.
        let there = || File { is_named: true, is_there: true, ..File::default() };
        self.files.entry(name.to_owned()).or_insert_with(there)
    }

    /// Does what was done.
    pub(super) fn follow(&mut self, op: &Op) {
        let forgets_names = self.forgets_names;
        match op {
            Op::Create(name) => {
                let old = self.files.remove(name).unwrap_or_default();
                let before = old.is_named.then(|| old.before.unwrap_or(old.durable));
                let is_named = old.is_named;
                let file = File { is_named, is_there: true, before, ..File::default() };
                self.files.insert(name.clone(), file);
            }
            Op::Write(name, offset, data) => {
                self.file(name).pending.push(Change::Write(*offset, data.clone()));
            }
            Op::Truncate(name, length) => self.file(name).pending.push(Change::Truncate(*length)),
            Op::Sync(name) => {
                let file = self.file(name);
                let pending = std::mem::take(&mut file.pending);
                pending.iter().for_each(|change| change.apply(&mut file.durable));
                let is_new = !file.is_named || file.before.is_some();
                if is_new && !forgets_names {
                    self.sync_names();
                }
            }
            Op::FailedSync(name) => self.file(name).pending.clear(),
            // Nobody syncs the directory of what is gone, so it may come back.
            Op::Delete(name) => self.file(name).is_there = false,
            Op::Answered(_) => {}
        }
    }

    /// The directory is synced: what was made is found, and what was deleted is not.
    fn sync_names(&mut self) {
        self.files.retain(|_, file| file.is_there);
        for file in self.files.values_mut() {
            (file.is_named, file.before) = (true, None);
        }
    }

    /// The files that the next boot finds.
    pub(super) fn after(&self, loss: Loss) -> BTreeMap<String, Vec<u8>> {
        let mut random = SplitMix64::new(if let Loss::Some(seed) = loss { seed } else { 0 });
        let mut left = BTreeMap::new();
        for (name, file) in &self.files {
            let is_found = match loss {
                Loss::Nothing | Loss::Torn(_) => file.is_there,
                Loss::All => file.is_named,
                Loss::Some(_) => file.is_named && (file.is_there || random.unit() < 0.5),
            };
            if is_found {
                left.insert(name.clone(), file.after(loss, &mut random));
            }
        }
        left
    }
}

impl File {
    fn after(&self, loss: Loss, random: &mut SplitMix64) -> Vec<u8> {
        let is_before = match loss {
            Loss::All => true,
            Loss::Some(_) => random.unit() < 0.5,
            Loss::Nothing | Loss::Torn(_) => false,
        };
        if let Some(before) = self.before.as_ref().filter(|_| is_before) {
            return before.clone();
        }
        let mut bytes = self.durable.clone();
        let mut changes = self.pending.clone();
        match loss {
            Loss::All => changes.clear(),
            Loss::Nothing => {}
            Loss::Torn(n_left) => {
                if let Some(Change::Write(_, data)) = changes.last_mut() {
                    data.truncate(n_left);
                }
            }
            Loss::Some(_) => {
                changes = changes.iter().flat_map(Change::sectors).collect();
                changes.retain(|_| random.unit() < 0.5);
                for i in (1..changes.len()).rev() {
                    changes.swap(i, (random.bits() % (i as u64 + 1)) as usize);
                }
            }
        }
        changes.iter().for_each(|change| change.apply(&mut bytes));
        bytes
    }
}

impl Change {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Self::Write(offset, data) => apply(file, *offset, data),
            Self::Truncate(length) => file.resize(*length as usize, 0),
        }
    }

    /// The same change, sector by sector.
    fn sectors(&self) -> Vec<Self> {
        let Self::Write(offset, data) = self else { return vec![self.clone()] };
        let (mut at, mut rest, mut sectors) = (*offset, &data[..], Vec::new());
        while !rest.is_empty() {
            let n_to_border = SECTOR_BYTES - at as usize % SECTOR_BYTES;
            let (sector, further) = rest.split_at(n_to_border.min(rest.len()));
            sectors.push(Self::Write(at, sector.to_vec()));
            (at, rest) = (at + sector.len() as u64, further);
        }
        sectors
    }
}

/// Lays files into a directory, under their own names.
pub(super) fn lay(files: &BTreeMap<String, Vec<u8>>, dir: &Path) {
    for (name, bytes) in files {
        let name = Path::new(name).file_name().expect("SQLite gives whole paths");
        std::fs::write(dir.join(name), bytes).expect("there is room");
    }
}
