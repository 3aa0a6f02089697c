//! What a request asks for, by its method and path.

use super::record::Received;

/// A way to ask for a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    OpenAiChat,
    OpenAiResponses,
    Anthropic,
    Ollama,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Chat(Dialect),
    Embeddings(Dialect),
    Models(Dialect),
    Unknown,
}

impl Route {
    pub(super) fn of(request: &Received) -> Self {
        let path = request.path.split('?').next().unwrap_or_default();
        let is_anthropic = request.header("anthropic-version").is_some();
        let ends = |end: &str| path.ends_with(end);
        match request.method.as_str() {
            "POST" if ends("/chat/completions") => Self::Chat(Dialect::OpenAiChat),
            "POST" if ends("/responses") => Self::Chat(Dialect::OpenAiResponses),
            "POST" if ends("/messages") => Self::Chat(Dialect::Anthropic),
            "POST" if ends("/api/chat") => Self::Chat(Dialect::Ollama),
            "POST" if ends("/embeddings") => Self::Embeddings(Dialect::OpenAiChat),
            "POST" if ends("/api/embed") => Self::Embeddings(Dialect::Ollama),
            "GET" if ends("/models") && is_anthropic => Self::Models(Dialect::Anthropic),
            "GET" if ends("/models") => Self::Models(Dialect::OpenAiChat),
            "GET" if ends("/api/tags") => Self::Models(Dialect::Ollama),
            _ => Self::Unknown,
        }
    }

    /// Whose form errors take.
    pub(super) fn dialect(self) -> Dialect {
        match self {
            Self::Chat(dialect) | Self::Embeddings(dialect) | Self::Models(dialect) => dialect,
            Self::Unknown => Dialect::OpenAiChat,
        }
    }
}
