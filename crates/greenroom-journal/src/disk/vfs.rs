//! The simulated disk as SQLite sees it: every operation is counted and written down, and one of them fails.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use greenroom_core::random::SplitMix64;
use sqlite_vfs::wip::{WalIndex, WalIndexLock};
use sqlite_vfs::{DatabaseHandle, LockKind, OpenAccess, OpenKind, OpenOptions, Vfs};

/// What was done to the disk. Only what changes it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Op {
    /// A file was made that has to be found by its name.
    Create(String),
    Write(String, u64, Vec<u8>),
    Truncate(String, u64),
    Sync(String),
    /// It failed: what was written before is on no disk, and no later sync changes that.
    FailedSync(String),
    Delete(String),
    /// The n-th append was answered.
    Answered(usize),
}

/// What one operation comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The disk reports an error, once.
    Error,
    /// It does from then on.
    Errors,
    /// There is no room for a write, of which a half is done.
    Full,
    /// There is no room from then on.
    StaysFull,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, Vec<u8>>,
    ops: Vec<Op>,
    n_calls: u64,
    /// The operation that fails, counted from 1.
    fails: Option<(u64, Failure)>,
    n_failed: u64,
}

/// A disk. Clones are handles of the same one.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    name: &'static str,
    state: Arc<Mutex<State>>,
}

impl Disk {
    /// A disk that SQLite knows by a name from now on. It never forgets one, so a test has one disk, and
    /// clears it.
    pub(super) fn new(name: &'static str) -> Self {
        let disk = Self { name, state: Arc::default() };
        sqlite_vfs::register(disk.name, disk.clone(), false).expect("the name is new");
        disk
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An empty disk, of which this operation fails.
    pub(super) fn clear(&self, fails: Option<(u64, Failure)>) {
        *self.lock() = State { fails, ..State::default() };
    }

    pub(super) fn answered(&self, n: usize) {
        self.lock().ops.push(Op::Answered(n));
    }

    pub(super) fn ops(&self) -> Vec<Op> {
        self.lock().ops.clone()
    }

    /// How many operations there were, and how many failed.
    pub(super) fn n_calls(&self) -> (u64, u64) {
        let state = self.lock();
        (state.n_calls, state.n_failed)
    }
}

impl State {
    /// Counts an operation, which may fail.
    fn call(&mut self, is_write: bool) -> Result<(), Failure> {
        self.n_calls += 1;
        let Some((at, failure)) = self.fails else { return Ok(()) };
        let is_due = match failure {
            Failure::Error => self.n_calls == at,
            Failure::Errors => self.n_calls >= at,
            Failure::Full => self.n_calls == at && is_write,
            Failure::StaysFull => self.n_calls >= at && is_write,
        };
        self.n_failed += u64::from(is_due);
        if is_due { Err(failure) } else { Ok(()) }
    }

    fn file(&mut self, name: &str) -> &mut Vec<u8> {
        self.files.entry(name.to_owned()).or_default()
    }

    fn write(&mut self, name: &str, offset: u64, data: &[u8]) {
        if data.is_empty() {
            return;
        }
        apply(self.file(name), offset, data);
        self.ops.push(Op::Write(name.to_owned(), offset, data.to_vec()));
    }
}

/// Writes into the bytes of a file.
pub(super) fn apply(file: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let begin = usize::try_from(offset).expect("the files are small");
    let end = begin + data.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[begin..end].copy_from_slice(data);
}

fn error(failure: Failure) -> io::Error {
    match failure {
        Failure::Error | Failure::Errors => io::Error::other("on purpose"),
        // What SQLite is told to be a full disk.
        Failure::Full | Failure::StaysFull => ErrorKind::WriteZero.into(),
    }
}

impl Vfs for Disk {
    type Handle = Handle;

    fn open(&self, name: &str, options: OpenOptions) -> io::Result<Handle> {
        let mut state = self.lock();
        state.call(false).map_err(error)?;
        // The journal makes its database, and its name durable, before SQLite sees it.
        let is_there = state.files.contains_key(name) || options.kind == OpenKind::MainDb;
        if !is_there && matches!(options.access, OpenAccess::Read | OpenAccess::Write) {
            return Err(ErrorKind::NotFound.into());
        }
        if !is_there {
            state.ops.push(Op::Create(name.to_owned()));
        }
        state.file(name);
        drop(state);
        Ok(Handle { disk: self.clone(), name: name.to_owned(), lock: LockKind::None })
    }

    fn delete(&self, name: &str) -> io::Result<()> {
        let mut state = self.lock();
        state.call(false).map_err(error)?;
        state.files.remove(name).ok_or(ErrorKind::NotFound)?;
        state.ops.push(Op::Delete(name.to_owned()));
        Ok(())
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        let mut state = self.lock();
        state.call(false).map_err(error)?;
        Ok(state.files.contains_key(name))
    }

    fn temporary_name(&self) -> String {
        "temporary".to_owned()
    }

    fn random(&self, buffer: &mut [i8]) {
        let mut random = SplitMix64::new(7);
        buffer.fill_with(|| random.bits() as i8);
    }

    fn sleep(&self, duration: Duration) -> Duration {
        duration
    }
}

/// An open file.
#[derive(Debug)]
pub(super) struct Handle {
    disk: Disk,
    name: String,
    lock: LockKind,
}

impl DatabaseHandle for Handle {
    type WalIndex = Index;

    fn size(&self) -> io::Result<u64> {
        let mut state = self.disk.lock();
        state.call(false).map_err(error)?;
        Ok(state.file(&self.name).len() as u64)
    }

    fn read_exact_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.call(false).map_err(error)?;
        let file = state.file(&self.name);
        let begin = usize::try_from(offset).expect("the files are small").min(file.len());
        let n_there = buffer.len().min(file.len() - begin);
        buffer[..n_there].copy_from_slice(&file[begin..begin + n_there]);
        buffer[n_there..].fill(0);
        if n_there == buffer.len() { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }

    fn write_all_at(&mut self, data: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        match state.call(true) {
            Ok(()) => state.write(&self.name, offset, data),
            Err(failure) => {
                state.write(&self.name, offset, &data[..data.len() / 2]);
                return Err(error(failure));
            }
        }
        Ok(())
    }

    fn sync(&mut self, _data_only: bool) -> io::Result<()> {
        let mut state = self.disk.lock();
        let synced = state.call(false);
        let name = self.name.clone();
        state.ops.push(if synced.is_ok() { Op::Sync(name) } else { Op::FailedSync(name) });
        synced.map_err(error)
    }

    fn set_len(&mut self, length: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.call(false).map_err(error)?;
        let bytes = usize::try_from(length).expect("the files are small");
        state.file(&self.name).resize(bytes, 0);
        state.ops.push(Op::Truncate(self.name.clone(), length));
        Ok(())
    }

    // One connection at a time has the disk.
    fn lock(&mut self, lock: LockKind) -> io::Result<bool> {
        self.lock = lock;
        Ok(true)
    }

    fn reserved(&mut self) -> io::Result<bool> {
        Ok(false)
    }

    fn current_lock(&self) -> io::Result<LockKind> {
        Ok(self.lock)
    }

    fn wal_index(&self, _is_read_only: bool) -> io::Result<Index> {
        Ok(Index)
    }
}

/// The index of the log, which is memory of its one connection.
#[derive(Debug)]
pub(super) struct Index;

impl WalIndex for Index {
    fn map(&mut self, _region: u32) -> io::Result<[u8; 32768]> {
        Ok([0; 32768])
    }

    fn lock(&mut self, _locks: Range<u8>, _lock: WalIndexLock) -> io::Result<bool> {
        Ok(true)
    }

    fn delete(self) -> io::Result<()> {
        Ok(())
    }
}
