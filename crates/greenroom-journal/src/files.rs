//! The files of a journal: for their user alone, owned by one process, and still there.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use greenroom_core::journal::{JournalError, JournalErrorKind};
use rusqlite::{Connection, OpenFlags};

use crate::Durability;
use crate::error::system;

const DATABASE: &str = "journal.db";
const LOCK: &str = "journal.lock";

/// What the lock file calls an owner that syncs each transaction.
const DURABLE: &str = "durable";

/// The files of a journal that this process owns until the value is dropped.
#[derive(Debug)]
pub(crate) struct Files {
    database: PathBuf,
    identity: Identity,
    /// Whether the process before synced each of its transactions.
    was_durable: bool,
    /// SQLite's way to the disk, when it is not the usual one.
    vfs: Option<&'static str>,
    // The system lets go of the lock when the file is closed, also when the process is killed: a lock file
    // that is left behind is locked by nobody.
    _lock: File,
}

/// Which file a path leads to. A file that was deleted and made again is another one.
#[cfg(unix)]
type Identity = (u64, u64);
#[cfg(not(unix))]
type Identity = ();

impl Files {
    /// Makes what is not there, and takes the lock.
    pub(crate) fn own(dir: &Path, durability: Durability) -> Result<Self, JournalError> {
        let failed = |what: &str, path: &Path, error: &io::Error| {
            system(&format!("{what} {}", path.display()), error)
        };
        private_dir().create(dir).map_err(|error| failed("cannot make", dir, &error))?;
        let (lock, was_durable) = owned(dir, durability)?;
        let database = dir.join(DATABASE);
        // SQLite gives its log the permissions of the file that it belongs to. The handle is closed before
        // SQLite opens the file: closing one later would take SQLite's own locks along.
        private_file().open(&database).map_err(|error| failed("cannot open", &database, &error))?;
        restrict(&database).map_err(|error| failed("cannot restrict", &database, &error))?;
        let identity = identity(&database).map_err(|error| failed("lost", &database, &error))?;
        // A new file is not on the disk before its name is.
        let synced = File::open(dir).and_then(|dir| dir.sync_all());
        synced.map_err(|error| failed("cannot sync", dir, &error))?;
        Ok(Self { database, identity, was_durable, vfs: None, _lock: lock })
    }

    /// The database of a journal that somebody made.
    pub(crate) fn existing(dir: &Path) -> Result<PathBuf, JournalError> {
        let database = dir.join(DATABASE);
        match fs::metadata(&database) {
            Ok(_) => Ok(database),
            Err(error) => Err(system(&format!("no journal in {}", dir.display()), &error)),
        }
    }

    pub(crate) fn database(&self) -> &Path {
        &self.database
    }

    /// Lets SQLite go to another disk than that of these files.
    #[cfg(test)]
    pub(crate) fn through(self, vfs: &'static str) -> Self {
        Self { vfs: Some(vfs), ..self }
    }

    /// Opens the database.
    pub(crate) fn connect(&self, flags: OpenFlags) -> rusqlite::Result<Connection> {
        match self.vfs {
            None => Connection::open_with_flags(&self.database, flags),
            Some(vfs) => Connection::open_with_flags_and_vfs(&self.database, flags, vfs),
        }
    }

    /// SQLite's log, when the process before synced each transaction before it began the next.
    pub(crate) fn log_of_durable(&self) -> Option<PathBuf> {
        self.was_durable.then(|| self.database.with_extension("db-wal"))
    }

    /// Whether what was opened is still what the path leads to.
    ///
    /// # Errors
    ///
    /// `Fatal` when the file was deleted or replaced: what is written now would be found by nobody.
    pub(crate) fn check(&self) -> Result<(), JournalError> {
        if identity(&self.database).is_ok_and(|identity| identity == self.identity) {
            return Ok(());
        }
        let path = self.database.display();
        let message = format!("{path} was deleted or replaced while it was in use");
        Err(JournalError::new(JournalErrorKind::Fatal, message))
    }
}

/// Takes the lock of a directory, and writes into it who has it and in which mode. Says also whether the owner
/// before was durable.
fn owned(dir: &Path, durability: Durability) -> Result<(File, bool), JournalError> {
    let path = dir.join(LOCK);
    let failed = |error: &io::Error| system(&format!("cannot lock {}", path.display()), error);
    let mut file = private_file().read(true).open(&path).map_err(|error| failed(&error))?;
    let locked = file.try_lock();
    let mut owner = String::new();
    // Who it is helps, and is no reason to fail otherwise.
    let _ = (&mut file).take(64).read_to_string(&mut owner);
    let mut words = owner.split_whitespace();
    let (process, mode) = (words.next().unwrap_or("?"), words.next());
    match locked {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let message = format!("process {process} owns the journal in {}", dir.display());
            return Err(JournalError::new(JournalErrorKind::Locked, message));
        }
        Err(TryLockError::Error(error)) => return Err(failed(&error)),
    }
    let was_durable = mode == Some(DURABLE);
    let mode = if durability == Durability::Durable { DURABLE } else { "relaxed" };
    let line = format!("{} {mode}\n", std::process::id());
    let written = file.set_len(0).and_then(|()| file.rewind());
    let written = written.and_then(|()| file.write_all(line.as_bytes()));
    written.map_err(|error| failed(&error))?;
    Ok((file, was_durable))
}

#[cfg(unix)]
mod private {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};

    pub(super) fn private_dir() -> DirBuilder {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder
    }

    pub(super) fn private_file() -> OpenOptions {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        options
    }

    pub(super) fn restrict(path: &Path) -> io::Result<()> {
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))
    }

    pub(super) fn identity(path: &Path) -> io::Result<Identity> {
        fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
    }
}

/// Elsewhere files have the permissions of the user's directory, and cannot be deleted while in use.
#[cfg(not(unix))]
mod private {
    use super::*;

    pub(super) fn private_dir() -> DirBuilder {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        builder
    }

    pub(super) fn private_file() -> OpenOptions {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        options
    }

    pub(super) fn restrict(_path: &Path) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn identity(path: &Path) -> io::Result<Identity> {
        fs::metadata(path).map(|_| ())
    }
}

use private::{identity, private_dir, private_file, restrict};
