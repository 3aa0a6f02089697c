//! Cassettes: calls of models that were recorded once, and are played back in tests.
//!
//! A [`Cassette`] is a file of JSON lines, one for each call, made to be read, compared and committed. A
//! decorator around a model or an embedder records what goes through it, or answers from the file.
//!
//! | promise | how |
//! |---|---|
//! | no secret is in the file | exact ones are given; others are taken out by shape ([`greenroom_core::redact`]) |
//! | a request is matched by what it says | all of it, who asks excepted, in a canonical form |
//! | the same request again gets the next recording of it | recordings are used once, in order |
//! | a request that was not recorded is an error | it names the nearest recording and the first difference |
//! | what was never replayed can be seen | [`Cassette::unused`] |
//!
//! Times, limits and request ids are not recorded: a replay says the same, at once. The file is written where the
//! call ends, in the thread that polls it; this is for tests.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use greenroom_core::embedder::Embedder;
use greenroom_core::model::{ChatModel, ModelError, ModelErrorKind};
use greenroom_core::secret::Secret;

mod error;
mod line;
mod played;
mod tape;

pub use error::{CassetteError, CassetteErrorKind};
pub use played::{TapedEmbedder, TapedModel};

use line::{Line, VERSION};
use tape::Tape;

/// The longest file that is read.
const FILE_LEN_MAX: u64 = 256 << 20;

/// What a cassette does with calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CassetteMode {
    /// Every call is made and recorded. What the file held before is lost.
    Record,
    /// No call is made. What was not recorded is an error.
    Replay,
    /// What was recorded is replayed; any other call is made, and recorded behind the rest.
    ReplayOrRecord,
}

/// A file of recorded calls. Clones are handles of the same one.
///
/// # Examples
///
/// ```
/// use futures_util::StreamExt as _;
/// use greenroom_core::model::{ChatModel as _, ChatRequest};
/// use greenroom_models::Extractive;
/// use greenroom_models::cassette::{Cassette, CassetteMode};
///
/// # let path = std::env::temp_dir().join(format!("greenroom-{}.jsonl", std::process::id()));
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// let cassette = Cassette::open(&path, CassetteMode::Record)?;
/// let model = cassette.model(Extractive::new());
/// let told: Vec<_> = model.stream(ChatRequest::default()).collect().await;
///
/// let cassette = Cassette::open(&path, CassetteMode::Replay)?;
/// let player = cassette.player("extractive");
/// let replayed: Vec<_> = player.stream(ChatRequest::default()).collect().await;
/// assert_eq!((replayed, cassette.unused()), (told, vec![]));
/// # Ok::<_, greenroom_models::cassette::CassetteError>(())
/// # })?;
/// # std::fs::remove_file(path)?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Cassette {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    mode: CassetteMode,
    state: Mutex<State>,
}

struct State {
    tape: Tape,
    /// Where recordings go; `None` when nothing is recorded.
    file: Option<File>,
}

impl Cassette {
    /// Opens a cassette. A file that is not there is made, unless it is only to be replayed.
    ///
    /// # Errors
    ///
    /// [`CassetteError`] when the file cannot be read or written, or is no cassette.
    pub fn open(path: impl AsRef<Path>, mode: CassetteMode) -> Result<Self, CassetteError> {
        let path = path.as_ref().to_owned();
        let failed = |error| CassetteError::of_file(&path, error);
        let mut tape = Tape::default();
        let is_there = mode != CassetteMode::Record && path.exists();
        if is_there || mode == CassetteMode::Replay {
            let file = File::open(&path).map_err(failed)?;
            let mut text = String::new();
            file.take(FILE_LEN_MAX + 1).read_to_string(&mut text).map_err(failed)?;
            tape = Tape::read(&text, FILE_LEN_MAX).map_err(|error| error.of(&path))?;
        }
        let file = match mode {
            CassetteMode::Replay => None,
            CassetteMode::ReplayOrRecord if is_there => {
                Some(OpenOptions::new().append(true).open(&path).map_err(failed)?)
            }
            CassetteMode::Record | CassetteMode::ReplayOrRecord => {
                let mut file = File::create(&path).map_err(failed)?;
                write(&mut file, &Line::Cassette { version: VERSION }).map_err(failed)?;
                Some(file)
            }
        };
        let state = Mutex::new(State { tape, file });
        Ok(Self { shared: Arc::new(Shared { path, mode, state }) })
    }

    /// Takes this secret out of everything that is recorded, and out of requests before they are matched.
    #[must_use]
    pub fn without(self, secret: impl Into<Secret>) -> Self {
        self.state().tape.hide(secret.into());
        self
    }

    /// A model whose calls go through this cassette.
    #[must_use]
    pub fn model(&self, model: impl ChatModel) -> TapedModel {
        TapedModel::new(self.clone(), model.name().to_owned(), Some(Arc::new(model)))
    }

    /// The recorded calls of a model, by its name: no model is needed, and no key.
    #[must_use]
    pub fn player(&self, name: impl Into<String>) -> TapedModel {
        TapedModel::new(self.clone(), name.into(), None)
    }

    /// An embedder whose calls go through this cassette.
    #[must_use]
    pub fn embedder(&self, embedder: impl Embedder) -> TapedEmbedder {
        TapedEmbedder::new(self.clone(), embedder.name().to_owned(), Some(Arc::new(embedder)))
    }

    /// The recorded calls of an embedder, by its name.
    #[must_use]
    pub fn embedding_player(&self, name: impl Into<String>) -> TapedEmbedder {
        TapedEmbedder::new(self.clone(), name.into(), None)
    }

    /// The lines of the recordings that were not replayed, counted from 1: a test may want none.
    #[must_use]
    pub fn unused(&self) -> Vec<usize> {
        self.state().tape.unused()
    }

    /// Whether a call is looked for among the recordings.
    fn replays(&self) -> bool {
        self.shared.mode != CassetteMode::Record
    }

    /// Records a call.
    fn record(&self, line: Line) -> Result<(), ModelError> {
        let mut state = self.state();
        let State { tape, file } = &mut *state;
        let (model, line) = (line.model().to_owned(), tape.cleaned(line));
        let written = match file {
            Some(file) => write(file, &line),
            None => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
        };
        written.map_err(|error| {
            let path = self.shared.path.display();
            let message = format!("the call was made and cannot be recorded in {path}: {error}");
            ModelError::new(ModelErrorKind::InvalidRequest, model, message)
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Appends one line, in one piece.
fn write(file: &mut File, line: &Line) -> io::Result<()> {
    let mut text = serde_json::to_string(line)?;
    text.push('\n');
    file.write_all(text.as_bytes())
}

impl fmt::Debug for Cassette {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cassette")
            .field("path", &self.shared.path)
            .field("mode", &self.shared.mode)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
