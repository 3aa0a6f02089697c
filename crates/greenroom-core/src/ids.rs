//! The identities of the system: agents, runs, tasks, calls and journal streams.
//!
//! Every id is its own type, so that one cannot be passed for another. This module never makes an
//! id up: randomness is an effect, and belongs to the runtime.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::fingerprint::fingerprint;

macro_rules! name_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Makes the id from its text.
            #[must_use]
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text of the id.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self::new(text)
            }
        }
    };
}

name_id! {
    /// The logical identity of an agent. It outlives the agent's incarnations.
    AgentId
}
name_id! {
    /// A piece of a run assigned to one agent, unique within its run.
    TaskId
}
name_id! {
    /// One tool call of one turn, unique within its task.
    CallId
}

/// A run: 128 random bits, written as 32 lowercase hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(u128);

impl RunId {
    /// Makes the id from 128 bits; the caller supplies the randomness.
    #[must_use]
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    /// The bits of the id, which also seed everything pseudo-random in the run.
    #[must_use]
    pub const fn bits(self) -> u128 {
        self.0
    }

    /// The first four hexadecimal digits, for screens.
    #[must_use]
    pub fn short(self) -> String {
        format!("{self}")[..4].to_owned()
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunId({self})")
    }
}

/// The text was not 32 lowercase hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a run id is 32 lowercase hexadecimal digits")]
pub struct ParseRunIdError;

impl FromStr for RunId {
    type Err = ParseRunIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 32 || !text.bytes().all(is_digit) {
            return Err(ParseRunIdError);
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| ParseRunIdError)
    }
}

impl Serialize for RunId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RunId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// One journal stream: the root stream of a run, the stream of one of its tasks, or the stream of an agent
/// whose own state is journalled.
///
/// A stream has a single writer, the agent that owns the task or the state. The id of a task's stream is
/// derived from its parent's, so that a repeated delegation attaches to the child instead of making another.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StreamId {
    #[serde(flatten)]
    owner: Owner,
    path: Arc<str>,
}

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Owner {
    Run(RunId),
    Agent(AgentId),
}

impl StreamId {
    /// The root stream of a run.
    #[must_use]
    pub fn root(run: RunId) -> Self {
        Self { owner: Owner::Run(run), path: Arc::from("") }
    }

    /// The stream of an agent's own state.
    #[must_use]
    pub fn of_agent(agent: AgentId) -> Self {
        Self { owner: Owner::Agent(agent), path: Arc::from("") }
    }

    /// The stream of a task below this one.
    #[must_use]
    pub fn child(&self, task: &TaskId) -> Self {
        let path = if self.path.is_empty() {
            task.as_str().into()
        } else {
            format!("{}/{task}", self.path).into()
        };
        Self { owner: self.owner.clone(), path }
    }

    /// The run that the stream belongs to; `None` for the stream of an agent's own state.
    #[must_use]
    pub fn run(&self) -> Option<RunId> {
        match self.owner {
            Owner::Run(run) => Some(run),
            Owner::Agent(_) => None,
        }
    }

    /// The agent whose own state the stream holds; `None` for a stream of a run.
    #[must_use]
    pub fn agent(&self) -> Option<&AgentId> {
        match &self.owner {
            Owner::Run(_) => None,
            Owner::Agent(agent) => Some(agent),
        }
    }

    /// What everything pseudo-random in the stream follows from: another number for each stream, so that
    /// tasks of a run which fail together do not come back together.
    #[must_use]
    pub fn seed(&self) -> u64 {
        let owner = match &self.owner {
            Owner::Run(run) => run.bits() as u64,
            Owner::Agent(agent) => fingerprint(agent.as_str()),
        };
        owner ^ fingerprint(&self.path)
    }

    /// The tasks from the root to this stream, joined by `/`; empty for the root stream.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.owner {
            Owner::Run(run) => write!(f, "{run}")?,
            // No run is called that: a run id is made of digits.
            Owner::Agent(agent) => write!(f, "agent:{agent}")?,
        }
        if self.path.is_empty() { Ok(()) } else { write!(f, "/{}", self.path) }
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_reads_what_it_writes_and_nothing_else() {
        let id = RunId::from_bits(0x7f3a << 112);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.short(), "7f3a");
        for bad in ["", "7f3a", "../../etc/passwd", &"F".repeat(32), &"+".repeat(32)] {
            assert_eq!(bad.parse::<RunId>(), Err(ParseRunIdError), "{bad}");
        }
    }

    #[test]
    fn a_childs_stream_is_derived_from_its_parents() {
        let root = StreamId::root(RunId::from_bits(1));
        let nested = root.child(&"t1".into()).child(&"c2".into());
        assert_eq!(nested.path(), "t1/c2");
        assert_eq!(nested, root.child(&"t1".into()).child(&"c2".into()));
        assert_eq!(nested.run(), root.run());
        let other = StreamId::root(RunId::from_bits(2)).child(&"t1".into()).child(&"c2".into());
        let seeds = [&root, &root.child(&"t1".into()), &nested, &other].map(StreamId::seed);
        assert!((1..4).all(|i| !seeds[..i].contains(&seeds[i])), "{seeds:?}");
    }

    #[test]
    fn a_stream_is_written_as_it_always_was_and_an_agents_beside_it() {
        let run = StreamId::root(RunId::from_bits(1)).child(&"t1".into());
        let agent = StreamId::of_agent("customer/42".into());
        let golden = r#"[{"run":"00000000000000000000000000000001","path":"t1"},{"agent":"customer/42","path":""}]"#;
        let streams = vec![run, agent];
        assert_eq!(serde_json::to_string(&streams).expect("it is text"), golden);
        assert_eq!(serde_json::from_str::<Vec<StreamId>>(golden).expect("it reads back"), streams);
        assert_eq!(streams[1].to_string(), "agent:customer/42");
        assert_eq!((streams[1].run(), streams[0].agent()), (None, None));
        assert_eq!(streams[1].agent(), Some(&"customer/42".into()));
        assert!(streams[0] < streams[1], "the streams of runs come first");
    }
}
