//! Tests of `refresh`.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::Refresh;
use crate::report::{IngestReport, NoticeCode, Notices, Progress};
use crate::store::Store;
use crate::walk::{Found, Root, resolve, walk};

fn found(roots: &[Root]) -> Found {
    walk(roots, &Progress::default(), &mut Notices::default())
}

fn refresh(
    store: &mut Store,
    roots: &[Root],
    found: &Found,
    cancelled: bool,
) -> io::Result<(IngestReport, Vec<NoticeCode>)> {
    let mut notices = Notices::default();
    let refresh = Refresh {
        roots,
        found,
        file_bytes_max: 1_000,
        progress: &Progress::default(),
        cancelled: &AtomicBool::new(cancelled),
    };
    let report = refresh.run(store, &mut notices)?;
    Ok((report, notices.into_vec().into_iter().map(|notice| notice.code).collect()))
}

fn tree() -> (tempfile::TempDir, Vec<Root>) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.txt"), "alpha").unwrap();
    fs::write(dir.path().join("b.txt"), "beta").unwrap();
    let roots = resolve(&[dir.path().to_path_buf()]).unwrap();
    (dir, roots)
}

fn write(dir: &Path, name: &str, text: &str) {
    fs::write(dir.join(name), text).unwrap();
}

#[test]
fn a_file_that_vanishes_after_the_walk_leaves_the_index() {
    let (dir, roots) = tree();
    let mut store = Store::in_memory();
    refresh(&mut store, &roots, &found(&roots), false).unwrap();
    write(dir.path(), "a.txt", "alpha, changed");
    let found = found(&roots);
    fs::remove_file(dir.path().join("a.txt")).unwrap();
    let (report, codes) = refresh(&mut store, &roots, &found, false).unwrap();
    assert_eq!((report.n_files, report.n_unchanged, codes), (1, 1, vec![NoticeCode::Vanished]));
}

#[test]
fn a_file_that_grows_beyond_the_limit_after_the_walk_is_not_indexed() {
    let (dir, roots) = tree();
    let found = found(&roots);
    write(dir.path(), "a.txt", &"x".repeat(5_000));
    let (report, codes) = refresh(&mut Store::in_memory(), &roots, &found, false).unwrap();
    assert_eq!((report.n_files, codes), (1, vec![NoticeCode::TooLarge]));
    assert!(report.bytes_read < 2_000);
}

#[test]
fn a_directory_where_a_file_was_is_a_notice() {
    let (dir, roots) = tree();
    let found = found(&roots);
    fs::remove_file(dir.path().join("a.txt")).unwrap();
    fs::create_dir(dir.path().join("a.txt")).unwrap();
    let (report, codes) = refresh(&mut Store::in_memory(), &roots, &found, false).unwrap();
    assert_eq!((report.n_files, codes), (1, vec![NoticeCode::UnreadableFile]));
}

#[test]
fn a_cancelled_refresh_changes_nothing() {
    let (dir, roots) = tree();
    let mut store = Store::in_memory();
    refresh(&mut store, &roots, &found(&roots), false).unwrap();
    let before = store.manifest.clone();
    write(dir.path(), "a.txt", "alpha, changed");
    let error = refresh(&mut store, &roots, &found(&roots), true).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Interrupted);
    assert_eq!(store.manifest, before);
    let (report, _) = refresh(&mut store, &roots, &found(&roots), false).unwrap();
    assert_eq!((report.n_read, report.n_unchanged), (1, 1));
}
