//! Tests of `read_file`.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use greenroom_core::tool::DynTool;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

/// A root with a secret beside it.
///
/// ```text
/// data/notes.txt, data/docs/deep.txt     may be read
/// data-evil/secret.txt, secret.txt       may not
/// ```
struct Site {
    dir: TempDir,
}

const SECRET: &str = "the secret";

impl Site {
    fn new() -> Self {
        let site = Self { dir: tempfile::Builder::new().prefix("site").tempdir().unwrap() };
        for dir in ["data/docs", "data-evil"] {
            fs::create_dir_all(site.at(dir)).unwrap();
        }
        site.write("data/notes.txt", "one\ntwo\nthree\n");
        site.write("data/docs/deep.txt", "deep");
        site.write("data-evil/secret.txt", SECRET);
        site.write("secret.txt", SECRET);
        site
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        fs::write(self.at(path), content).unwrap();
    }

    fn tool(&self) -> ReadFileTool {
        ReadFileTool::new(self.at("data"))
    }

    async fn read(&self, path: &str) -> Result<Value, ToolError> {
        call(&self.tool(), json!({ "path": path })).await
    }

    async fn text(&self, path: &str) -> String {
        self.read(path).await.unwrap()["text"].as_str().unwrap().to_owned()
    }

    async fn refusal(&self, path: &str) -> (ToolErrorKind, String) {
        let error = self.read(path).await.expect_err(path);
        assert!(!error.message.contains(SECRET), "{error}");
        let root = self.dir.path().display().to_string();
        assert!(path.contains(&root) || !error.message.contains(&root), "{error}");
        (error.kind, error.message)
    }

    async fn assert_refused(&self, path: &str, kind: ToolErrorKind, why: &str) {
        let (found, message) = self.refusal(path).await;
        assert_eq!(found, kind, "{path}: {message}");
        assert!(message.contains(why), "{path}: {message}");
    }
}

async fn call(tool: &ReadFileTool, arguments: Value) -> Result<Value, ToolError> {
    tool.call_json(arguments, ToolContext::new("c1".into(), "key")).await
}

/// How long the tool may take to refuse a file that would make it wait.
const PATIENCE: Duration = Duration::from_secs(10);

const DENIED: ToolErrorKind = ToolErrorKind::Denied;
const FAILED: ToolErrorKind = ToolErrorKind::Failed;
const OUTSIDE: &str = "leads outside";

#[tokio::test]
async fn files_below_the_root_are_read_as_they_stand() {
    let site = Site::new();
    assert_eq!(
        site.read("notes.txt").await.unwrap(),
        json!({
            "path": "notes.txt",
            "start_line": 1,
            "end_line": 3,
            "truncated": false,
            "text": "one\ntwo\nthree\n",
        })
    );
    for same in ["docs/deep.txt", "./docs/deep.txt", "docs//deep.txt", "docs/../docs/deep.txt"] {
        assert_eq!(site.text(same).await, "deep", "{same}");
    }
    site.write("data/empty.txt", "");
    assert_eq!(site.read("empty.txt").await.unwrap()["end_line"], 0);
    site.write("data/..%2fsecret.txt", "only a name that begins with a dot");
    site.assert_refused("..%2fsecret.txt", DENIED, "hidden").await;
}

#[tokio::test]
async fn lines_can_be_chosen() {
    let site = Site::new();
    let tool = site.tool();
    let lines = |start: u64, count: u64| {
        let arguments = json!({ "path": "notes.txt", "start_line": start, "line_count": count });
        let tool = tool.clone();
        async move { call(&tool, arguments).await }
    };
    let middle = lines(2, 1).await.unwrap();
    assert_eq!((&middle["text"], &middle["end_line"]), (&json!("two\n"), &json!(2)));
    assert_eq!(middle["truncated"], false);
    assert_eq!(lines(2, u64::MAX).await.unwrap()["text"], "two\nthree\n");
    let beyond = lines(4, 1).await.unwrap_err();
    assert_eq!(beyond, ToolError::failed("\"notes.txt\" has only 3 lines"));
    assert_eq!(lines(u64::MAX, 1).await.unwrap_err().kind, FAILED);
    for (start, count) in [(0, 1), (1, 0)] {
        let error = lines(start, count).await.unwrap_err();
        assert_eq!(error.kind, ToolErrorKind::InvalidArguments);
    }
}

#[tokio::test]
async fn paths_do_not_lead_out_of_the_root() {
    let site = Site::new();
    let absolute = site.at("secret.txt").display().to_string();
    let absolute_inside = site.at("data/notes.txt").display().to_string();
    for path in [
        "../secret.txt",
        "docs/../../secret.txt",
        "docs/../../data-evil/secret.txt",
        "../data-evil/secret.txt",
        "../data/notes.txt",
        "..",
        "/",
        "/etc/passwd",
        "/proc/self/environ",
        "/dev/zero",
        &absolute,
        &absolute_inside,
    ] {
        site.assert_refused(path, DENIED, OUTSIDE).await;
    }
    // A sibling whose name merely begins like the root's.
    let evil = format!("{}-evil/secret.txt", site.at("data").display());
    site.assert_refused(&evil, DENIED, OUTSIDE).await;
    for path in ["", "notes.txt\0", "\0", "notes.txt\0.png"] {
        site.assert_refused(path, ToolErrorKind::InvalidArguments, "is not a path").await;
    }
    site.assert_refused("missing.txt", FAILED, "there is no file").await;
    site.assert_refused("notes.txt/deeper", FAILED, "cannot be read").await;
    site.assert_refused("..%2fsecret.txt", DENIED, "hidden").await;
    site.assert_refused(&"a/".repeat(5_000), FAILED, "cannot be read").await;
}

#[tokio::test]
async fn hidden_files_are_not_read() {
    let site = Site::new();
    fs::create_dir_all(site.at("data/.git")).unwrap();
    for path in [".env", ".git/config", "docs/.env"] {
        site.write(&format!("data/{path}"), SECRET);
        site.assert_refused(path, DENIED, "hidden").await;
    }
    site.assert_refused("docs/../.git/config", DENIED, "hidden").await;
    site.assert_refused("./.env", DENIED, "hidden").await;
}

#[tokio::test]
async fn directories_are_refused() {
    let site = Site::new();
    for path in ["docs", "docs/", ".", "docs/.."] {
        site.assert_refused(path, DENIED, "is a directory").await;
    }
}

#[tokio::test]
async fn text_that_is_none_is_refused() {
    let site = Site::new();
    site.write("data/latin1.txt", b"caf\xe9 au lait");
    site.write("data/cut.txt", "é".as_bytes().split_at(1).0);
    site.write("data/binary.txt", b"text\0with a NUL");
    for path in ["latin1.txt", "cut.txt", "binary.txt"] {
        site.assert_refused(path, FAILED, "is not UTF-8 text").await;
    }
}

#[tokio::test]
async fn long_text_is_cut_at_a_character_and_says_so() {
    let site = Site::new();
    site.write("data/long.txt", "é".repeat(1 << 20));
    let long = site.read("long.txt").await.unwrap();
    assert_eq!(long["truncated"], true);
    assert_eq!(long["text"].as_str().unwrap().len(), 1 << 20);

    let read = async |bytes_max| {
        let tool = site.tool().bytes_max(bytes_max);
        call(&tool, json!({ "path": "long.txt", "line_count": 1 })).await.unwrap()
    };
    assert_eq!(read(5).await["text"], "éé");
    assert_eq!(read(4).await["text"], "éé");
    assert_eq!(read(0).await["text"], "");
    let whole = read(usize::MAX).await;
    assert_eq!(whole["truncated"], false);
    assert_eq!(whole["text"].as_str().unwrap().len(), 2 << 20);

    site.write("data/fits.txt", "12\n45\n");
    let fits = call(&site.tool().bytes_max(6), json!({ "path": "fits.txt" })).await.unwrap();
    assert_eq!((&fits["truncated"], &fits["end_line"]), (&json!(false), &json!(2)));
    let cut = call(&site.tool().bytes_max(5), json!({ "path": "fits.txt" })).await.unwrap();
    assert_eq!((&cut["truncated"], &cut["text"]), (&json!(true), &json!("12\n45")));
    let asked = json!({ "path": "fits.txt", "line_count": 1 });
    let asked = call(&site.tool().bytes_max(3), asked).await.unwrap();
    assert_eq!((&asked["truncated"], &asked["text"]), (&json!(false), &json!("12\n")));
}

#[tokio::test]
async fn a_huge_file_costs_no_more_than_the_limits() {
    let site = Site::new();
    site.write("data/huge.txt", "first\nsecond\n");
    let huge = fs::OpenOptions::new().write(true).open(site.at("data/huge.txt")).unwrap();
    huge.set_len(5 << 30).unwrap();
    let first = json!({ "path": "huge.txt", "line_count": 2 });
    assert_eq!(call(&site.tool(), first).await.unwrap()["text"], "first\nsecond\n");
    site.assert_refused("huge.txt", FAILED, "is not UTF-8 text").await;
    let far = json!({ "path": "huge.txt", "start_line": 4 });
    let error = call(&site.tool(), far).await.unwrap_err();
    assert_eq!(error, ToolError::failed("line 4 of \"huge.txt\" is beyond the first 64 MiB"));
}

#[tokio::test]
async fn a_root_that_cannot_be_opened_is_a_failed_call() {
    let site = Site::new();
    for root in ["missing", "secret.txt"] {
        let tool = ReadFileTool::new(site.at(root));
        let error = call(&tool, json!({ "path": "notes.txt" })).await.unwrap_err();
        assert_eq!(error, ToolError::failed("the directory that may be read cannot be opened"));
    }
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    use super::*;

    #[tokio::test]
    async fn links_are_followed_only_below_the_root() {
        let site = Site::new();
        let links = [
            ("inside", "docs/deep.txt"),
            ("docs/up", "../notes.txt"),
            ("relative", "../secret.txt"),
            ("evil", "../data-evil"),
            ("chain", "relative"),
            ("zero", "/dev/zero"),
            ("environ", "/proc/self/environ"),
            ("loop", "loop"),
            ("dangling", "nowhere"),
        ];
        for (link, target) in links {
            symlink(target, site.at("data").join(link)).unwrap();
        }
        symlink(site.at("secret.txt"), site.at("data/absolute")).unwrap();
        symlink(site.at("data/notes.txt"), site.at("data/absolute-inside")).unwrap();
        symlink(site.at("data-evil"), site.at("data/dir")).unwrap();

        assert_eq!(site.text("inside").await, "deep");
        assert_eq!(site.text("docs/up").await, "one\ntwo\nthree\n");
        for path in [
            "relative",
            "chain",
            "absolute",
            "absolute-inside",
            "evil/secret.txt",
            "dir/secret.txt",
            "zero",
            "environ",
        ] {
            site.assert_refused(path, DENIED, OUTSIDE).await;
        }
        site.assert_refused("loop", FAILED, "cannot be read").await;
        site.assert_refused("dangling", FAILED, "there is no file").await;
    }

    #[test]
    fn what_is_not_a_regular_file_is_refused_without_waiting() {
        let site = Site::new();
        let made = Command::new("mkfifo").arg(site.at("data/fifo")).status().unwrap();
        assert!(made.success());
        symlink("fifo", site.at("data/to-fifo")).unwrap();
        let _socket = UnixListener::bind(site.at("data/socket")).unwrap();

        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let outcomes = ["fifo", "to-fifo", "socket"].map(|path| {
            let reading = async { tokio::time::timeout(PATIENCE, site.read(path)).await };
            (path, runtime.block_on(reading))
        });
        // A thread that waits for the FIFO would otherwise be waited for here.
        runtime.shutdown_background();
        let expected = [(DENIED, "regular file"), (DENIED, "regular file"), (FAILED, "be read")];
        for ((path, outcome), (kind, why)) in outcomes.into_iter().zip(expected) {
            let error = outcome.expect("the tool waits for a FIFO").expect_err(path);
            assert_eq!(error.kind, kind, "{path}: {error}");
            assert!(error.message.contains(why), "{path}: {error}");
        }
    }

    /// A hard link is the file: this documents what the tool does not promise.
    #[tokio::test]
    async fn a_hard_link_is_the_file_itself() {
        let site = Site::new();
        fs::hard_link(site.at("secret.txt"), site.at("data/hard.txt")).unwrap();
        assert_eq!(site.text("hard.txt").await, SECRET);
    }

    /// A file and a directory are swapped for links to the secret, and back, while they are read.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_swapped_link_never_leads_out() {
        let site = Site::new();
        symlink(site.at("secret.txt"), site.at("data/file-link")).unwrap();
        symlink(site.at("data-evil"), site.at("data/dir-link")).unwrap();
        site.write("data/file", "harmless");
        fs::create_dir(site.at("data/dir")).unwrap();
        site.write("data/dir/secret.txt", "harmless");

        let is_done = Arc::new(AtomicBool::new(false));
        let swapper = std::thread::spawn({
            let (data, is_done) = (site.at("data"), Arc::clone(&is_done));
            move || {
                while !is_done.load(Ordering::Relaxed) {
                    for name in ["file", "dir"] {
                        let (real, link) = (data.join(name), data.join(format!("{name}-link")));
                        let aside = data.join("aside");
                        fs::rename(&real, &aside).unwrap();
                        fs::rename(&link, &real).unwrap();
                        fs::rename(&real, &link).unwrap();
                        fs::rename(&aside, &real).unwrap();
                    }
                }
            }
        });
        let (mut n_read, mut n_denied) = (0, 0);
        for _ in 0..1_000 {
            for path in ["file", "dir/secret.txt"] {
                match site.read(path).await {
                    Ok(output) => {
                        assert_eq!(output["text"], "harmless", "an escape by {path}");
                        n_read += 1;
                    }
                    Err(error) => n_denied += usize::from(error.kind == DENIED),
                }
            }
        }
        is_done.store(true, Ordering::Relaxed);
        swapper.join().unwrap();
        // Otherwise the race was never run.
        assert!(n_read > 0 && n_denied > 0, "{n_read} read, {n_denied} denied");
    }
}
