//! The tables, and how connections to them are opened.

use std::path::Path;
use std::time::Duration;

use greenroom_core::journal::{JournalError, JournalErrorKind};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::Durability;
use crate::error::{reading, writing};
use crate::files::Files;

/// Says that a file is a journal: "GRJL".
const APPLICATION: i32 = 0x4752_4a4c;

/// The version of the tables. That of the events is their own.
const VERSION: i32 = 1;

/// How long SQLite waits for a lock: a checkpoint for a reader, a reader for the recovery of the log.
const BUSY_MAX: Duration = Duration::from_secs(5);

/// The size of a page, in bytes.
pub(super) const PAGE_BYTES: u64 = 4096;

/// A rowid table and an index, not a table without rowids: that would write each event twice.
const TABLES: &str = "
CREATE TABLE streams (
    id INTEGER PRIMARY KEY,
    owner TEXT NOT NULL,
    path TEXT NOT NULL,
    n_events INTEGER NOT NULL,
    head BLOB NOT NULL,
    started_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    state TEXT,
    UNIQUE (owner, path)
);
CREATE INDEX unfinished_runs ON streams (started_at, owner)
    WHERE state IS NOT NULL AND state NOT IN ('completed', 'partial', 'failed', 'cancelled');
CREATE INDEX runs ON streams (started_at, owner) WHERE state IS NOT NULL;
CREATE TABLE events (
    pos INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    v INTEGER NOT NULL,
    body TEXT,
    blob BLOB,
    checksum BLOB NOT NULL,
    UNIQUE (stream, seq)
);
CREATE INDEX events_by_blob ON events (blob) WHERE blob IS NOT NULL;
CREATE TABLE blobs (
    name BLOB PRIMARY KEY,
    body TEXT NOT NULL
);
CREATE VIEW timeline AS
    SELECT s.owner AS run, s.path AS task, e.seq, strftime('%Y-%m-%d %H:%M:%f', e.at / 1000.0, 'unixepoch') AS at,
           e.kind, e.v, coalesce(e.body, b.body) AS body
    FROM events e JOIN streams s ON s.id = e.stream LEFT JOIN blobs b ON b.name = e.blob
    ORDER BY e.pos;
";

/// Opens a database for its one writer.
pub(super) fn open_writable(
    files: &Files,
    durability: Durability,
    bytes_max: Option<u64>,
) -> Result<Connection, JournalError> {
    let path = files.database();
    let failed = |error| writing(&format!("cannot open {}", path.display()), &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = files.connect(flags).map_err(failed)?;
    prepare(&connection).map_err(failed)?;
    let is_new = check_version(&connection, path)?;
    let mode = connection.query_row("PRAGMA journal_mode = WAL", (), |row| row.get::<_, String>(0));
    if mode.map_err(failed)? != "wal" {
        let message = format!("{} is on a file system without shared memory", path.display());
        return Err(JournalError::new(JournalErrorKind::Unavailable, message));
    }
    configure(&connection, durability, bytes_max).map_err(failed)?;
    if is_new {
        create(&mut connection).map_err(failed)?;
    }
    // The log of the process before goes into the tables, and what is found in it later is of this one.
    let truncated = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()));
    truncated.map_err(failed)?;
    Ok(connection)
}

/// Opens a database for one of its readers.
pub(crate) fn open_readable(path: &Path) -> Result<Connection, JournalError> {
    let failed = |error| reading(&format!("cannot open {}", path.display()), &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    prepare(&connection).map_err(failed)?;
    if check_version(&connection, path)? {
        let message = format!("{} has no tables yet", path.display());
        return Err(JournalError::new(JournalErrorKind::Unavailable, message));
    }
    Ok(connection)
}

/// What holds for every connection.
fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_MAX)?;
    connection.set_prepared_statement_cache_capacity(32);
    // Partial indexes make SQLite plan a statement anew for each value that is bound to it, unless it is told that the plan
    // may not depend on values.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // What is in the file is data: nothing in it may run code. Damaged cells are noticed early.
    connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;")
}

fn configure(
    connection: &Connection,
    durability: Durability,
    bytes_max: Option<u64>,
) -> rusqlite::Result<()> {
    let synchronous = match durability {
        Durability::Durable => "FULL",
        Durability::Relaxed | Durability::Ephemeral => "NORMAL",
    };
    // `fullfsync` counts on Apple's systems alone, where `fsync` does not reach the disk.
    connection.execute_batch(&format!(
        "PRAGMA synchronous = {synchronous}; PRAGMA fullfsync = ON; \
         PRAGMA wal_autocheckpoint = 1000; PRAGMA journal_size_limit = 67108864;"
    ))?;
    let Some(bytes_max) = bytes_max else { return Ok(()) };
    let n_pages = i64::try_from(bytes_max / PAGE_BYTES).unwrap_or(i64::MAX).clamp(1, 0xffff_fffe);
    connection.query_row(&format!("PRAGMA max_page_count = {n_pages}"), (), |_| Ok(()))
}

/// Whether the database is new; it is an error when it is somebody else's or newer.
fn check_version(connection: &Connection, path: &Path) -> Result<bool, JournalError> {
    let failed = |error| reading(&format!("cannot read {}", path.display()), &error);
    let number = |sql| connection.query_row(sql, (), |row| row.get::<_, i32>(0));
    let application = number("PRAGMA application_id").map_err(failed)?;
    let version = number("PRAGMA user_version").map_err(failed)?;
    let n_tables = number("SELECT count(*) FROM sqlite_schema").map_err(failed)?;
    if (application, version, n_tables) == (0, 0, 0) {
        return Ok(true);
    }
    let error = |kind, what: &str| JournalError::new(kind, format!("{} {what}", path.display()));
    if application != APPLICATION {
        return Err(error(JournalErrorKind::Corrupt, "is not a journal"));
    }
    if version > VERSION {
        return Err(error(JournalErrorKind::TooNew, "was written by a newer version"));
    }
    Ok(false)
}

/// Makes the tables, all or none.
fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.execute_batch(&format!(
        "PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION};"
    ))?;
    transaction.commit()
}
