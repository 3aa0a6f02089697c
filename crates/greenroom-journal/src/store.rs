//! The file as its one writer sees it: whole groups of appends in one transaction each.

pub(crate) mod load;
mod log;
mod purge;
mod schema;

use std::path::Path;
use std::sync::Arc;

use greenroom_core::ids::StreamId;
use greenroom_core::journal::{EventText, JournalError, JournalErrorKind, Recorded};
use greenroom_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::Durability;
use crate::chain::{self, Entry, Sum};
use crate::error::{of, system, writing};
use crate::files::Files;
use crate::writer::{Answer, Backend};

pub(crate) use schema::open_readable;

/// Bodies of more bytes are kept apart, so that the events of a stream lie close together.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// How the owner of a stream is written in the table: as the part of the stream's id before its path.
pub(crate) fn owner(stream: &StreamId) -> String {
    match (stream.run(), stream.agent()) {
        (Some(run), _) => StreamId::root(run).to_string(),
        (None, Some(agent)) => StreamId::of_agent(agent.clone()).to_string(),
        (None, None) => unreachable!("a stream is a run's or an agent's"),
    }
}

/// The database, open for writing.
#[derive(Debug)]
pub(crate) struct Store {
    // It is closed before the lock is let go.
    connection: Connection,
    files: Files,
}

impl Store {
    /// Opens the database, and makes its tables when it is new.
    pub(crate) fn open(
        files: Files,
        durability: Durability,
        bytes_max: Option<u64>,
        accepts_loss: bool,
    ) -> Result<Self, JournalError> {
        if let Some(log) = files.log_of_durable().filter(|_| !accepts_loss) {
            check_log(&log, files.database())?;
        }
        let connection = schema::open_writable(&files, durability, bytes_max)?;
        Ok(Self { connection, files })
    }
}

/// What simulations need of a store.
#[cfg(test)]
impl Store {
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Moves the log into the tables whenever it has so many pages.
    pub(crate) fn checkpoint_every(&self, n_pages: u32) {
        let set = self.connection.pragma_update(None, "wal_autocheckpoint", n_pages);
        // A disk that fails is no reason to stop.
        let _ = set;
    }

    /// Deletes the events of a stream before a place, in a transaction of its own.
    pub(crate) fn forget_before(&self, stream: &StreamId, seq: u64) {
        let head = head(&self.connection, stream).expect("the disk works").expect("it is known");
        purge::events_before(&self.connection, head.id, seq).expect("the disk works");
    }
}

impl Backend for Store {
    fn check(&mut self) -> Result<(), JournalError> {
        self.files.check()
    }

    fn append(
        &mut self,
        group: &[(StreamId, Arc<[Recorded]>)],
    ) -> Result<Vec<Answer>, JournalError> {
        let failed = |error| writing("cannot store", &error);
        let transaction = self.connection.transaction().map_err(failed)?;
        let mut answers = Vec::with_capacity(group.len());
        for (stream, events) in group {
            answers.push(append(&transaction, stream, events)?);
        }
        transaction.commit().map_err(failed)?;
        Ok(answers)
    }

    fn flush(&mut self) -> Result<(), JournalError> {
        // A checkpoint syncs the log first, in every mode. Readers may keep it from going further.
        let flushed = self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(()));
        flushed.map_err(|error| writing("cannot flush", &error))
    }

    fn purge(&mut self, before: Timestamp, n_max: usize) -> Result<usize, JournalError> {
        let transaction = self.connection.transaction();
        let transaction = transaction.map_err(|error| writing("cannot purge", &error))?;
        let purged = purge::finished_runs(&transaction, before, n_max);
        let purged = purged.map_err(|error| writing("cannot purge", &error))?;
        transaction.commit().map_err(|error| writing("cannot purge", &error))?;
        Ok(purged)
    }
}

/// Refuses a log of which SQLite would drop what was acknowledged.
fn check_log(log: &Path, database: &Path) -> Result<(), JournalError> {
    let path = log.display();
    let damage = log::damage(log, database)
        .map_err(|error| system(&format!("cannot read {path}"), &error))?;
    let Some(log::Damage { frame, n_dropped }) = damage else { return Ok(()) };
    let message =
        format!("{path} is damaged at frame {frame}: {n_dropped} transactions would be lost");
    Err(JournalError::new(JournalErrorKind::Corrupt, message))
}

/// What the table says of a stream.
struct Head {
    id: i64,
    n_events: u64,
    sum: Sum,
}

/// Appends to one stream, or refuses and changes nothing. An error spoils the transaction.
fn append(
    connection: &Connection,
    stream: &StreamId,
    events: &[Recorded],
) -> Result<Answer, JournalError> {
    let failed = |error| of(stream, writing("cannot store", &error));
    let head = head(connection, stream).map_err(failed)?;
    let n_stored = head.as_ref().map_or(0, |head| head.n_events);
    if !(n_stored..).zip(events).all(|(seq, event)| event.seq == seq) {
        let message = format!("the stream has {n_stored} events");
        return Ok(Err(JournalError::of(stream, JournalErrorKind::Conflict, message)));
    }
    if events.is_empty() {
        return Ok(Ok(()));
    }
    // What a snapshot stands for is not kept, and the chain begins anew with it.
    let snapshot = events.iter().rposition(|recorded| recorded.event.is_snapshot());
    let kept = &events[snapshot.unwrap_or(0)..];
    let mut sum = match (&head, snapshot) {
        (Some(head), None) => head.sum,
        _ => chain::origin(stream),
    };
    let id = match &head {
        Some(head) => head.id,
        None => insert_stream(connection, stream, &events[0], &sum).map_err(failed)?,
    };
    if snapshot.is_some() {
        purge::events_before(connection, id, kept[0].seq).map_err(failed)?;
    }
    for recorded in kept {
        sum = insert_event(connection, id, &sum, recorded).map_err(failed)?;
    }
    update_stream(connection, id, events, &sum).map_err(failed)?;
    Ok(Ok(()))
}

fn head(connection: &Connection, stream: &StreamId) -> rusqlite::Result<Option<Head>> {
    let sql = "SELECT id, n_events, head FROM streams WHERE owner = ?1 AND path = ?2";
    let mut select = connection.prepare_cached(sql)?;
    let head = select.query_row(params![owner(stream), stream.path()], |row| {
        Ok(Head { id: row.get(0)?, n_events: row.get::<_, i64>(1)? as u64, sum: row.get(2)? })
    });
    head.optional()
}

fn insert_stream(
    connection: &Connection,
    stream: &StreamId,
    first: &Recorded,
    sum: &Sum,
) -> rusqlite::Result<i64> {
    let sql = "INSERT INTO streams (owner, path, n_events, head, started_at, updated_at, state) \
               VALUES (?1, ?2, 0, ?3, ?4, ?4, ?5)";
    let state = (stream.run().is_some() && stream.path().is_empty()).then_some("open");
    let at = first.at.as_millis() as i64;
    let mut insert = connection.prepare_cached(sql)?;
    insert.insert(params![owner(stream), stream.path(), sum, at, state])
}

fn insert_event(
    connection: &Connection,
    stream: i64,
    before: &Sum,
    recorded: &Recorded,
) -> rusqlite::Result<Sum> {
    let EventText { kind, version, body } = recorded.event.to_text();
    let (seq, at) = (recorded.seq, recorded.at);
    let sum = chain::next(before, &Entry { seq, at, kind: &kind, version, body: &body });
    let is_large = body.len() > BODY_BYTES_MAX;
    let blob = is_large.then(|| chain::name(&body));
    if let Some(name) = &blob {
        let sql = "INSERT OR IGNORE INTO blobs (name, body) VALUES (?1, ?2)";
        connection.prepare_cached(sql)?.execute(params![name, body])?;
    }
    let sql = "INSERT INTO events (stream, seq, at, kind, v, body, blob, checksum) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let body = (!is_large).then_some(&body);
    let (seq, at) = (seq as i64, at.as_millis() as i64);
    let mut insert = connection.prepare_cached(sql)?;
    insert.execute(params![stream, seq, at, kind, version, body, blob, sum])?;
    Ok(sum)
}

fn update_stream(
    connection: &Connection,
    id: i64,
    events: &[Recorded],
    sum: &Sum,
) -> rusqlite::Result<()> {
    // A state that is set is put into the indexes of runs anew, so it is set when it changes. Only the root of
    // a run has one to begin with.
    let status = events.iter().rev().find_map(|recorded| recorded.event.status());
    let n_events = events.last().map_or(0, |last| last.seq + 1) as i64;
    let at = events.last().map_or(0, |last| last.at.as_millis()) as i64;
    let sql = "UPDATE streams SET n_events = ?2, head = ?3, updated_at = ?4 WHERE id = ?1";
    connection.prepare_cached(sql)?.execute(params![id, n_events, sum, at])?;
    if let Some(status) = status {
        let sql = "UPDATE streams SET state = ?2 WHERE id = ?1 AND state IS NOT NULL";
        connection.prepare_cached(sql)?.execute(params![id, status.to_string()])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
