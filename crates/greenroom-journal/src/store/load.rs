//! What readers ask of the file. Nothing is believed that its checksum does not vouch for.

use greenroom_core::ids::{RunId, StreamId, TaskId};
use greenroom_core::journal::{
    Event, FormatError, FormatErrorKind, JournalError, JournalErrorKind, Recorded, RunHead, Runs,
};
use greenroom_core::report::Status;
use greenroom_core::time::Timestamp;
use rusqlite::{Connection, Row};

use super::{Head, owner};
use crate::chain::{self, Entry, Sum};
use crate::error::{of, reading};

/// The events of a stream, from its last snapshot on.
///
/// # Errors
///
/// `Corrupt` when anything is not as it was written, `TooNew` when a newer version wrote it.
pub(crate) fn load(
    connection: &Connection,
    stream: &StreamId,
) -> Result<Vec<Recorded>, JournalError> {
    let failed = |error| of(stream, reading("cannot read", &error));
    // One transaction, so that the head is that of the events.
    let transaction = connection.unchecked_transaction().map_err(failed)?;
    let known = super::head(&transaction, stream).map_err(failed)?;
    let Some(Head { id, n_events, sum: head }) = known else { return Ok(vec![]) };
    let sql = "SELECT e.seq, e.at, e.kind, e.v, coalesce(e.body, b.body), e.checksum \
               FROM events e LEFT JOIN blobs b ON b.name = e.blob \
               WHERE e.stream = ?1 ORDER BY e.seq";
    let mut select = transaction.prepare_cached(sql).map_err(failed)?;
    let mut rows = select.query([id]).map_err(failed)?;
    let mut reader = Reader { stream, n_read: 0, sum: chain::origin(stream), events: vec![] };
    while let Some(row) = rows.next().map_err(failed)? {
        reader.read(row)?;
    }
    reader.end(n_events, &head)
}

/// Reads the events of a stream in order.
struct Reader<'a> {
    stream: &'a StreamId,
    /// The place after the last event that was read.
    n_read: u64,
    sum: Sum,
    events: Vec<Recorded>,
}

impl Reader<'_> {
    fn read(&mut self, row: &Row<'_>) -> Result<(), JournalError> {
        let failed = |error| of(self.stream, reading("cannot read", &error));
        let seq = row.get::<_, i64>(0).map_err(failed)? as u64;
        let at = Timestamp::from_millis(row.get::<_, i64>(1).map_err(failed)? as u64);
        let text = |i| row.get_ref(i).and_then(|value| Ok(value.as_str()?)).map_err(failed);
        let (kind, body) = (text(2)?, text(4)?);
        let version = row.get::<_, u32>(3).map_err(failed)?;
        let sum = chain::next(&self.sum, &Entry { seq, at, kind, version, body });
        if row.get::<_, Sum>(5).map_err(failed)? != sum {
            return Err(self.corrupt(&format!("event {seq} is not what was written")));
        }
        let event = Event::from_text(kind, version, body);
        let event = event.map_err(|error| self.unreadable(&error))?;
        self.events.push(Recorded { seq, at, event });
        (self.n_read, self.sum) = (seq + 1, sum);
        Ok(())
    }

    fn end(self, n_events: u64, head: &Sum) -> Result<Vec<Recorded>, JournalError> {
        if self.n_read != n_events || self.sum != *head {
            return Err(self.corrupt(&format!("not all of its {n_events} events are there")));
        }
        Ok(self.events)
    }

    fn corrupt(&self, message: &str) -> JournalError {
        JournalError::of(self.stream, JournalErrorKind::Corrupt, message)
    }

    fn unreadable(&self, error: &FormatError) -> JournalError {
        let kind = match error.kind {
            FormatErrorKind::TooNew => JournalErrorKind::TooNew,
            _ => JournalErrorKind::Corrupt,
        };
        JournalError::of(self.stream, kind, error.to_string())
    }
}

/// The streams of a run.
pub(crate) fn streams(connection: &Connection, run: RunId) -> Result<Vec<StreamId>, JournalError> {
    let root = StreamId::root(run);
    let failed = |error| of(&root, reading("cannot list", &error));
    let sql = "SELECT path FROM streams WHERE owner = ?1 ORDER BY path";
    let mut select = connection.prepare_cached(sql).map_err(failed)?;
    let streams = select.query_map([owner(&root)], |row| {
        let path: String = row.get(0)?;
        let tasks = path.split('/').filter(|task| !task.is_empty());
        Ok(tasks.fold(root.clone(), |stream, task| stream.child(&TaskId::from(task))))
    });
    streams.and_then(Iterator::collect).map_err(failed)
}

/// The runs, oldest first.
pub(crate) fn runs(connection: &Connection, which: Runs) -> Result<Vec<RunHead>, JournalError> {
    let failed = |error| reading("cannot list the runs", &error);
    // The words of the conditions are those of the indexes.
    let (condition, n_max) = match which {
        Runs::Unfinished => (
            "state IS NOT NULL AND state NOT IN ('completed', 'partial', 'failed', 'cancelled') \
             ORDER BY started_at, owner",
            usize::MAX,
        ),
        Runs::Newest(n_max) => ("state IS NOT NULL ORDER BY started_at DESC, owner DESC", n_max),
    };
    let sql = format!(
        "WITH r AS (SELECT owner, state, started_at, n_events FROM streams WHERE {condition} LIMIT ?1) \
         SELECT r.owner, r.state, r.started_at, max(s.updated_at), sum(s.n_events), r.n_events \
         FROM r JOIN streams s ON s.owner = r.owner GROUP BY r.owner ORDER BY r.started_at, r.owner"
    );
    let mut select = connection.prepare_cached(&sql).map_err(failed)?;
    let n_max = i64::try_from(n_max).unwrap_or(i64::MAX);
    let heads = select.query_map([n_max], head).map_err(failed)?;
    // An owner that is no run cannot be asked for, and there is nothing else to tell of it.
    let heads = heads.filter_map(Result::transpose).collect::<Result<_, _>>();
    heads.map_err(failed)
}

fn head(row: &Row<'_>) -> rusqlite::Result<Option<RunHead>> {
    let Ok(run) = row.get_ref(0)?.as_str()?.parse::<RunId>() else { return Ok(None) };
    let statuses = [Status::Completed, Status::Partial, Status::Failed, Status::Cancelled];
    let state: String = row.get(1)?;
    let status = statuses.into_iter().find(|status| status.to_string() == state);
    let at = |i| Ok::<_, rusqlite::Error>(Timestamp::from_millis(row.get::<_, i64>(i)? as u64));
    let (started_at, updated_at) = (at(2)?, at(3)?);
    let [n_events, n_root_events] = [row.get::<_, i64>(4)? as u64, row.get::<_, i64>(5)? as u64];
    Ok(Some(RunHead { run, status, started_at, updated_at, n_events, n_root_events }))
}
