//! What is no longer kept: finished runs, and what snapshots stand for.

use greenroom_core::time::Timestamp;
use rusqlite::{Connection, params};

use crate::chain::Sum;

/// Deletes at most so many runs that finished, and were last written, before an instant. Gives their
/// number.
pub(super) fn finished_runs(
    connection: &Connection,
    before: Timestamp,
    n_max: usize,
) -> rusqlite::Result<usize> {
    let sql = "SELECT r.owner FROM streams r JOIN streams s ON s.owner = r.owner \
               WHERE r.state IN ('completed', 'partial', 'failed', 'cancelled') \
               GROUP BY r.id HAVING max(s.updated_at) < ?1 LIMIT ?2";
    let (before, n_max) = (before.as_millis() as i64, n_max as i64);
    let mut select = connection.prepare_cached(sql)?;
    let owners = select.query_map(params![before, n_max], |row| row.get::<_, String>(0))?;
    let owners: Vec<String> = owners.collect::<Result<_, _>>()?;
    for owner in &owners {
        let mut select = connection.prepare_cached("SELECT id FROM streams WHERE owner = ?1")?;
        let streams = select.query_map([owner], |row| row.get::<_, i64>(0))?;
        for stream in streams.collect::<Result<Vec<_>, _>>()? {
            events_before(connection, stream, u64::MAX)?;
        }
        connection.prepare_cached("DELETE FROM streams WHERE owner = ?1")?.execute([owner])?;
    }
    Ok(owners.len())
}

/// Deletes the events of a stream before a place, and the bodies that nothing else has.
pub(super) fn events_before(
    connection: &Connection,
    stream: i64,
    seq: u64,
) -> rusqlite::Result<()> {
    let seq = i64::try_from(seq).unwrap_or(i64::MAX);
    let sql = "SELECT blob FROM events WHERE stream = ?1 AND seq < ?2 AND blob IS NOT NULL";
    let mut select = connection.prepare_cached(sql)?;
    let blobs = select.query_map(params![stream, seq], |row| row.get::<_, Sum>(0))?;
    let blobs: Vec<Sum> = blobs.collect::<Result<_, _>>()?;
    let sql = "DELETE FROM events WHERE stream = ?1 AND seq < ?2";
    connection.prepare_cached(sql)?.execute(params![stream, seq])?;
    let sql = "DELETE FROM blobs WHERE name = ?1 \
               AND NOT EXISTS (SELECT 1 FROM events WHERE blob = ?1)";
    for blob in blobs {
        connection.prepare_cached(sql)?.execute([blob])?;
    }
    Ok(())
}
