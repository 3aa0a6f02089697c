//! The rules of the house: which crate may know which, how long files and functions are, what no file says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;

/// Which of ours a crate may depend on, to be built. Tests may use the testkit besides.
const EDGES: [(&str, &[&str]); 13] = [
    ("greenroom-core", &[]),
    ("greenroom-runtime", &["greenroom-core", "greenroom-output"]),
    ("greenroom-output", &["greenroom-core"]),
    ("greenroom-models", &["greenroom-core"]),
    ("greenroom-tools", &["greenroom-core"]),
    ("greenroom-mcp", &["greenroom-core", "greenroom-tools"]),
    ("greenroom-retrieval", &["greenroom-core"]),
    ("greenroom-journal", &["greenroom-core"]),
    ("greenroom-testkit", &["greenroom-core"]),
    (
        "greenroom",
        &[
            "greenroom-core",
            "greenroom-output",
            "greenroom-runtime",
            "greenroom-mcp",
            "greenroom-models",
            "greenroom-tools",
            "greenroom-retrieval",
            "greenroom-journal",
        ],
    ),
    (
        "greenroom-cli",
        &[
            "greenroom",
            "greenroom-core",
            "greenroom-runtime",
            "greenroom-mcp",
            "greenroom-models",
            "greenroom-tools",
            "greenroom-retrieval",
            "greenroom-journal",
            "greenroom-testkit",
        ],
    ),
    ("greenroom-examples", &["greenroom"]),
    ("greenroom-tests", &[]),
];

/// Crates that only these of ours may depend on, to be built: whoever knows them owns what they do.
const OWNED: [(&str, &[&str]); 5] = [
    ("ractor", &["greenroom-runtime"]),
    ("tantivy", &["greenroom-retrieval"]),
    ("rusqlite", &["greenroom-journal"]),
    ("jsonschema", &["greenroom-output"]),
    ("rmcp", &["greenroom-mcp"]),
];

/// What the core never depends on.
const NOT_IN_CORE: [&str; 10] = [
    "ractor",
    "tokio",
    "tokio-util",
    "reqwest",
    "hyper",
    "rusqlite",
    "tantivy",
    "getrandom",
    "dashmap",
    "tracing",
];

fn root() -> PathBuf {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR"));
    suite.parent().expect("the suite is a directory of the workspace").to_owned()
}

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .other_options(["--offline".to_owned()])
        .exec()
        .expect("cargo describes the workspace")
}

/// What a package is built with, tests left out.
fn built_with(package: &Package) -> BTreeSet<&str> {
    let dependencies = package.dependencies.iter();
    let built = dependencies.filter(|dependency| dependency.kind != DependencyKind::Development);
    built.map(|dependency| dependency.name.as_str()).collect()
}

fn is_ours(name: &str) -> bool {
    name.starts_with("greenroom")
}

/// Edges that are not allowed, as `from -> to`.
fn bad_edges(metadata: &Metadata) -> Vec<String> {
    let allowed = BTreeMap::from(EDGES);
    let mut bad = Vec::new();
    for package in metadata.workspace_packages() {
        let name = package.name.as_str();
        let Some(allowed) = allowed.get(name) else {
            bad.push(format!("{name}, which the table does not know"));
            continue;
        };
        for to in built_with(package) {
            if is_ours(to) && !allowed.contains(&to) {
                bad.push(format!("{name} -> {to}"));
            }
            let owners = OWNED.iter().find(|(owned, _)| *owned == to).map(|(_, owners)| owners);
            if owners.is_some_and(|owners| !owners.contains(&name)) {
                bad.push(format!("{name} -> {to}"));
            }
        }
        let tests = package.dependencies.iter().filter(|d| d.kind == DependencyKind::Development);
        for to in tests.map(|dependency| dependency.name.as_str()).filter(|to| is_ours(to)) {
            let is_fine =
                allowed.contains(&to) || to == "greenroom-testkit" || name == "greenroom-tests";
            if !is_fine {
                bad.push(format!("{name} -> {to} (tests)"));
            }
        }
    }
    bad
}

#[test]
fn crates_depend_only_on_whom_they_may() {
    let metadata = metadata();
    assert_eq!(bad_edges(&metadata), [] as [String; 0]);
    let names: BTreeSet<_> =
        metadata.workspace_packages().iter().map(|p| p.name.to_string()).collect();
    let table: BTreeSet<_> = EDGES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names, table, "a crate that is gone must leave the table too");
}

#[test]
fn the_core_does_no_io() {
    let metadata = metadata();
    let packages = metadata.workspace_packages();
    let core = packages.iter().find(|package| package.name.as_str() == "greenroom-core");
    let known = built_with(core.expect("there is a core"));
    let bad: Vec<_> = NOT_IN_CORE.into_iter().filter(|name| known.contains(name)).collect();
    assert_eq!(bad, [] as [&str; 0]);
}

/// A source file of ours.
struct Source {
    /// Below the root, with `/`.
    path: String,
    text: String,
}

impl Source {
    /// Whether all of it is test code.
    fn is_test(&self) -> bool {
        let parts = self.path.split('/');
        parts.clone().any(|part| part == "tests") || self.path.ends_with("/tests.rs")
    }

    /// Its lines before the tests at its end.
    fn code(&self) -> Vec<&str> {
        let lines: Vec<_> = self.text.lines().collect();
        let tests = lines.windows(2).position(|pair| {
            pair[0].trim() == "#[cfg(test)]" && pair[1].starts_with("mod tests {")
        });
        lines[..tests.unwrap_or(lines.len())].to_vec()
    }
}

/// All Rust files of the workspace, in the order of their paths.
fn sources() -> Vec<Source> {
    let root = root();
    let mut sources = Vec::new();
    let mut directories: Vec<_> =
        ["crates", "examples", "tests"].map(|name| root.join(name)).into();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).expect("a directory of the workspace") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let below = path.strip_prefix(&root).expect("it was found below the root");
                let below = below.to_string_lossy().replace('\\', "/");
                let text = fs::read_to_string(&path).expect("a source is text");
                sources.push(Source { path: below, text });
            }
        }
    }
    assert!(sources.len() > 100, "only {} files were found", sources.len());
    sources.sort_by(|left, right| left.path.cmp(&right.path));
    sources
}

#[test]
fn every_file_says_first_what_it_owns() {
    let sources = sources();
    let bad: Vec<_> =
        sources.iter().filter(|s| !s.text.starts_with("//! ")).map(|s| &s.path).collect();
    assert_eq!(bad, [] as [&String; 0]);
}

#[test]
fn no_file_is_too_long() {
    let sources = sources();
    let lengths = sources.iter().filter(|s| !s.is_test()).map(|s| (&s.path, s.code().len()));
    let bad: Vec<_> = lengths.filter(|(_, n_lines)| *n_lines > FILE_LINES_MAX).collect();
    assert_eq!(bad, []);
}

/// Functions with their lengths in lines, from the signature to the closing brace. It relies on rustfmt: a
/// body ends at the first brace that is indented like its function.
fn functions<'a>(code: &[&'a str]) -> Vec<(&'a str, usize)> {
    let mut functions = Vec::new();
    for (i, line) in code.iter().enumerate() {
        let text = line.trim_start();
        let Some((before, after)) = text.split_once("fn ") else { continue };
        let is_qualifier =
            |word: &str| matches!(word, "pub" | "const" | "async") || word.starts_with("pub(");
        if !before.split_whitespace().all(is_qualifier) {
            continue;
        }
        let name = after.split(['(', '<']).next().unwrap_or(after);
        let opening =
            code[i..].iter().position(|line| line.ends_with(['{', '}', ';'])).unwrap_or(0);
        // A body on the same line is short, and a declaration has none.
        if code[i + opening].ends_with('{') {
            let end = format!("{}}}", &line[..line.len() - text.len()]);
            let length = code[i..].iter().position(|line| *line == end);
            functions.push((name, length.map_or(usize::MAX, |length| length + 1)));
        }
    }
    functions
}

#[test]
fn no_function_is_too_long() {
    let mut bad = Vec::new();
    let mut n_functions = 0;
    for source in sources().iter().filter(|source| !source.is_test()) {
        for (name, length) in functions(&source.code()) {
            n_functions += 1;
            if length > FUNCTION_LINES_MAX {
                bad.push(format!("{}: {name} has {length} lines", source.path));
            }
        }
    }
    assert!(n_functions > 1000, "only {n_functions} functions were found");
    assert_eq!(bad, [] as [String; 0]);
}

#[test]
fn functions_are_measured_as_they_are_long() {
    let code = "impl A {\n    fn short(&self) {}\n    pub(crate) async fn two(\n        a: u8,\n    ) -> u8 {\n        let a = a;\n        a\n    }\n    fn declared(&self);\n}\nfn last() {\n    {\n    }\n}";
    let code: Vec<_> = code.lines().collect();
    assert_eq!(functions(&code), [("two", 6), ("last", 4)]);
}

#[test]
fn no_file_postpones_skips_or_escapes() {
    // Written in pieces, so that this file does not say them.
    let words = [
        concat!("to", "do!"),
        concat!("#[ig", "nore"),
        concat!("un", "safe "),
        concat!("un", "safe{"),
    ];
    let mut bad = Vec::new();
    for source in sources() {
        for (i, line) in (1..).zip(source.text.lines()) {
            let is_comment = line.trim_start().starts_with("//");
            if !is_comment && words.iter().any(|word| line.contains(word)) {
                bad.push(format!("{}:{i}: {line}", source.path));
            }
        }
    }
    assert_eq!(bad, [] as [String; 0]);
}

/// The error codes in a text: `GR` and four digits.
fn codes(text: &str) -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    for (at, mark) in text.match_indices("GR") {
        let digits = text[at + mark.len()..].bytes().take_while(u8::is_ascii_digit).count();
        if digits == 4 {
            codes.insert(text[at..at + mark.len() + digits].to_owned());
        }
    }
    codes
}

#[test]
fn every_error_code_is_documented_and_every_documented_one_exists() {
    let sources = sources();
    let code = sources.iter().filter(|source| !source.is_test()).map(Source::code);
    let used: BTreeSet<_> = code.flatten().flat_map(codes).collect();
    let page =
        fs::read_to_string(root().join("docs/errors.md")).expect("the page of the error codes");
    // The first cell of each row; other cells may refer to codes.
    let cells = page.lines().filter_map(|line| line.strip_prefix('|')?.split('|').next());
    let documented: BTreeSet<_> = cells.flat_map(codes).collect();
    let missing: Vec<_> = used.difference(&documented).collect();
    let left_over: Vec<_> = documented.difference(&used).collect();
    assert_eq!((missing, left_over), (vec![], vec![]), "not documented, and not used");
}

/// TLS is rustls with ring: aws-lc alone would take longer to build than everything else together.
#[test]
fn tls_builds_no_other_library() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).expect("the lock file");
    for banned in ["aws-lc-sys", "aws-lc-rs", "openssl-sys", "native-tls"] {
        assert!(!lock.contains(&format!("name = \"{banned}\"")), "{banned} is in the tree");
    }
    assert!(lock.contains("name = \"ring\""), "the lock file names what is in the tree");
}

#[test]
fn no_profile_aborts_on_panic() {
    let root = root();
    let metadata = metadata();
    let manifests =
        metadata.workspace_packages().into_iter().map(|package| package.manifest_path.clone());
    let mut files: Vec<PathBuf> = manifests.map(Into::into).collect();
    files.extend(["Cargo.toml", ".cargo/config.toml", ".cargo/config"].map(|name| root.join(name)));
    for file in files.iter().filter(|file| file.exists()) {
        let text = fs::read_to_string(file).expect("a manifest is text");
        for line in text.lines().map(|line| line.split('#').next().unwrap_or_default()) {
            let line: String =
                line.chars().filter(|c| !c.is_whitespace() && *c != '\'' && *c != '"').collect();
            assert!(!line.contains("panic=abort"), "{}: {line}", file.display());
        }
    }
}
