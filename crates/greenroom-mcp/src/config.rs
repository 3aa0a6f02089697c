//! The file that people already have: `.mcp.json`, with the commands of their servers.
//!
//! It is only read here. A file of a project runs commands: whoever starts what it names must have asked for that.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::server::{McpServer, Protocol};

/// What is known of a server in the file.
const KNOWN: [&str; 9] =
    ["type", "command", "args", "env", "cwd", "timeout", "protocol", "disabled", "description"];

/// The servers of a file like `.mcp.json`.
///
/// | in the file | becomes |
/// |---|---|
/// | `mcpServers`, or `servers` | the servers, in the order of their names |
/// | `command`, `args`, `env`, `cwd` | the command; `${NAME}` and `${NAME:-default}` are replaced in all of them |
/// | `timeout` | the most milliseconds of a call |
/// | `protocol`: `"2025-11-25"`, `"2026-07-28"` | the wire, with a handshake (the default) or without |
/// | `type`: `"stdio"` | nothing: it is the only one there is |
/// | `disabled`: `true` | no server |
/// | anything else | its place in [`unknown`](Self::unknown) |
///
/// # Examples
///
/// ```
/// use greenroom_mcp::McpConfig;
///
/// let json = r#"{ "mcpServers": { "files": { "command": "npx", "args": ["-y", "files", "${ROOT}"] } } }"#;
/// let config = McpConfig::parse(json, |name| (name == "ROOT").then(|| "/srv/docs".to_owned()))?;
/// assert_eq!(config.servers[0].to_string(), r#"files: "npx" "-y" "files" "${ROOT}""#);
/// # Ok::<(), greenroom_mcp::McpConfigError>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct McpConfig {
    /// The servers.
    pub servers: Vec<McpServer>,
    /// The places of what nobody here knows, such as `mcpServers.files.icon`.
    pub unknown: Vec<String>,
}

impl McpConfig {
    /// Reads the text of a file. Variables are looked up by a function: nothing here reads the environment.
    ///
    /// # Errors
    ///
    /// [`McpConfigError`] when the text is not such a file, or names a variable that is not set.
    pub fn parse(
        json: &str,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, McpConfigError> {
        let bad = |why: String| McpConfigError::new("", McpConfigErrorKind::NotJson, why);
        let file: Value = serde_json::from_str(json).map_err(|error| bad(error.to_string()))?;
        let names = ["mcpServers", "servers"];
        let found = names.into_iter().find_map(|name| Some((name, file.get(name)?.as_object()?)));
        let (place, entries) = found.ok_or_else(|| bad("there is no `mcpServers`".to_owned()))?;
        let mut config = Self { servers: Vec::new(), unknown: Vec::new() };
        for (name, entry) in entries {
            let entry = Entry { place: format!("{place}.{name}"), entry, lookup: &lookup };
            config.servers.extend(entry.server(name, &mut config.unknown)?);
        }
        Ok(config)
    }
}

/// One server of the file.
struct Entry<'a, F> {
    place: String,
    entry: &'a Value,
    lookup: &'a F,
}

impl<F: Fn(&str) -> Option<String>> Entry<'_, F> {
    fn server(
        &self,
        name: &str,
        unknown: &mut Vec<String>,
    ) -> Result<Option<McpServer>, McpConfigError> {
        let entry = self.entry.as_object().ok_or_else(|| self.bad("", "an object"))?;
        let more = entry.keys().filter(|key| !KNOWN.contains(&key.as_str()));
        unknown.extend(more.map(|key| format!("{}.{key}", self.place)));
        if entry.get("disabled").is_some_and(|disabled| *disabled != Value::Bool(false)) {
            return Ok(None);
        }
        let is_stdio = entry.get("type").is_none_or(|kind| kind == "stdio");
        let Some(command) = entry.get("command").filter(|_| is_stdio) else {
            return Err(self.bad("command", "a program: servers elsewhere are not supported"));
        };
        let mut server = McpServer::command(name, self.text("command", command)?);
        for arg in self.list(entry, "args")? {
            let is = self.text("args", arg)?;
            // What a variable holds may be a secret.
            server = match arg.as_str() {
                Some(written) if written != is => server.arg_shown(is, written),
                _ => server.arg(is),
            };
        }
        if let Some(env) = entry.get("env") {
            let env = env.as_object().ok_or_else(|| self.bad("env", "an object of texts"))?;
            for (variable, value) in env {
                server = server.env(variable, self.text("env", value)?);
            }
        }
        if let Some(dir) = entry.get("cwd") {
            server = server.dir(self.text("cwd", dir)?);
        }
        if let Some(timeout) = entry.get("timeout") {
            let timeout = timeout.as_u64().filter(|ms| *ms > 0);
            let timeout = timeout.ok_or_else(|| self.bad("timeout", "a number of milliseconds"))?;
            server = server.call_timeout(Duration::from_millis(timeout));
        }
        match entry.get("protocol").map(Value::as_str) {
            None | Some(Some("2025-11-25")) => {}
            Some(Some("2026-07-28")) => server = server.protocol(Protocol::Stateless),
            Some(_) => return Err(self.bad("protocol", "`2025-11-25` or `2026-07-28`")),
        }
        Ok(Some(server))
    }

    fn list<'b>(
        &self,
        entry: &'b Map<String, Value>,
        key: &str,
    ) -> Result<&'b [Value], McpConfigError> {
        match entry.get(key) {
            None => Ok(&[]),
            Some(Value::Array(list)) => Ok(list),
            Some(_) => Err(self.bad(key, "a list of texts")),
        }
    }

    /// A text, with its variables replaced.
    fn text(&self, key: &str, value: &Value) -> Result<String, McpConfigError> {
        let mut rest = value.as_str().ok_or_else(|| self.bad(key, "a text"))?;
        let mut text = String::new();
        while let Some((before, after)) = rest.split_once("${") {
            let (inside, after) = after
                .split_once('}')
                .ok_or_else(|| self.bad(key, "a text that closes its `${`"))?;
            let (name, default) = match inside.split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (inside, None),
            };
            let value = (self.lookup)(name).or_else(|| default.map(str::to_owned));
            let value = value.ok_or_else(|| {
                let why = format!("{name} is not set");
                McpConfigError::new(self.at(key), McpConfigErrorKind::NoVariable, why)
            })?;
            text.push_str(before);
            text.push_str(&value);
            rest = after;
        }
        text.push_str(rest);
        Ok(text)
    }

    fn bad(&self, key: &str, expected: &str) -> McpConfigError {
        let why = format!("this must be {expected}");
        McpConfigError::new(self.at(key), McpConfigErrorKind::BadServer, why)
    }

    fn at(&self, key: &str) -> String {
        [&self.place, key].iter().filter(|part| !part.is_empty()).fold(String::new(), |at, part| {
            if at.is_empty() { (*part).to_owned() } else { format!("{at}.{part}") }
        })
    }
}

/// Why a file of servers cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}{}{why}", if place.is_empty() { "" } else { ": " })]
#[non_exhaustive]
pub struct McpConfigError {
    /// Where in the file, such as `mcpServers.files.args`; nothing, if it is the file as a whole.
    pub place: String,
    /// What policy reads.
    pub kind: McpConfigErrorKind,
    /// What people read.
    pub why: String,
}

impl McpConfigError {
    fn new(place: impl Into<String>, kind: McpConfigErrorKind, why: impl Into<String>) -> Self {
        Self { place: place.into(), kind, why: why.into() }
    }
}

/// The kinds of [`McpConfigError`].
///
/// | kind | code |
/// |---|---|
/// | `NotJson` | GR0607 |
/// | `BadServer` | GR0608 |
/// | `NoVariable` | GR0609 |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum McpConfigErrorKind {
    /// It is not JSON, or names no servers.
    NotJson,
    /// What it says of a server cannot be used.
    BadServer,
    /// It names a variable that is not set.
    NoVariable,
}

impl McpConfigErrorKind {
    /// The code of the error.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NotJson => "GR0607",
            Self::BadServer => "GR0608",
            Self::NoVariable => "GR0609",
        }
    }
}

impl fmt::Display for McpConfigErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotJson => "not a file of servers",
            Self::BadServer => "not a server",
            Self::NoVariable => "a variable is not set",
        })
    }
}

#[cfg(test)]
mod tests;
