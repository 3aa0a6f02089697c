//! From the errors of SQLite and of the system to the kinds of the journal.

use std::io;

use greenroom_core::ids::StreamId;
use greenroom_core::journal::{JournalError, JournalErrorKind};
use rusqlite::ErrorCode;

/// What an error of SQLite means for whoever writes. A transaction that fails stores nothing, but after an
/// error of the disk nobody knows what it holds: an `fsync` that failed once must not be believed the second
/// time.
pub(crate) fn writing(what: &str, error: &rusqlite::Error) -> JournalError {
    JournalError::new(kind(error), format!("{what}: {error}"))
}

/// What it means for whoever reads: an error of the disk spoils this answer and not the next one.
pub(crate) fn reading(what: &str, error: &rusqlite::Error) -> JournalError {
    let kind = match kind(error) {
        JournalErrorKind::Fatal => JournalErrorKind::Unavailable,
        kind => kind,
    };
    JournalError::new(kind, format!("{what}: {error}"))
}

/// What an error of the system means.
pub(crate) fn system(what: &str, error: &io::Error) -> JournalError {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            JournalErrorKind::ReadOnly
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => JournalErrorKind::Full,
        _ => JournalErrorKind::Unavailable,
    };
    JournalError::new(kind, format!("{what}: {error}"))
}

/// The same error, as one that concerns a stream.
pub(crate) fn of(stream: &StreamId, error: JournalError) -> JournalError {
    JournalError::of(stream, error.kind, error.message)
}

fn kind(error: &rusqlite::Error) -> JournalErrorKind {
    use rusqlite::Error;
    let failure = match error {
        Error::SqliteFailure(failure, _) => failure,
        // A column holds what was never written there.
        Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::InvalidColumnType(..)
        | Error::Utf8Error(..) => return JournalErrorKind::Corrupt,
        _ => return JournalErrorKind::Unavailable,
    };
    match failure.code {
        ErrorCode::DiskFull => JournalErrorKind::Full,
        ErrorCode::ReadOnly if failure.extended_code == rusqlite::ffi::SQLITE_READONLY_DBMOVED => {
            JournalErrorKind::Fatal
        }
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => JournalErrorKind::ReadOnly,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::ConstraintViolation => {
            JournalErrorKind::Corrupt
        }
        ErrorCode::SystemIoFailure => JournalErrorKind::Fatal,
        _ => JournalErrorKind::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    #[track_caller]
    fn check(code: i32, written: JournalErrorKind, read: JournalErrorKind) {
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        assert_eq!((writing("w", &error).kind, reading("r", &error).kind), (written, read));
    }

    #[test]
    fn errors_of_the_disk_are_fatal_to_the_writer_and_pass_for_readers() {
        use JournalErrorKind as Kind;
        check(ffi::SQLITE_IOERR_FSYNC, Kind::Fatal, Kind::Unavailable);
        check(ffi::SQLITE_IOERR_WRITE, Kind::Fatal, Kind::Unavailable);
        check(ffi::SQLITE_READONLY_DBMOVED, Kind::Fatal, Kind::Unavailable);
        check(ffi::SQLITE_FULL, Kind::Full, Kind::Full);
        check(ffi::SQLITE_READONLY, Kind::ReadOnly, Kind::ReadOnly);
        check(ffi::SQLITE_CORRUPT, Kind::Corrupt, Kind::Corrupt);
        check(ffi::SQLITE_NOTADB, Kind::Corrupt, Kind::Corrupt);
        check(ffi::SQLITE_BUSY, Kind::Unavailable, Kind::Unavailable);
    }

    #[test]
    fn what_the_system_refuses_has_a_kind() {
        let kind = |kind: io::ErrorKind| system("it", &kind.into()).kind;
        assert_eq!(kind(io::ErrorKind::PermissionDenied), JournalErrorKind::ReadOnly);
        assert_eq!(kind(io::ErrorKind::ReadOnlyFilesystem), JournalErrorKind::ReadOnly);
        assert_eq!(kind(io::ErrorKind::StorageFull), JournalErrorKind::Full);
        assert_eq!(kind(io::ErrorKind::NotADirectory), JournalErrorKind::Unavailable);
    }
}
