//! Which models are asked, on the command line.

use std::path::PathBuf;

use clap::Args as ClapArgs;

/// What the command line says of the models. What it leaves open, the configuration says.
#[derive(Debug, Clone, Default, ClapArgs)]
pub(crate) struct ModelArgs {
    /// The model of every role: openai:gpt-5, anthropic:…, ollama:…, http://HOST:PORT/v1#NAME, or extractive
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// Who makes vectors, to search by besides words: openai:text-embedding-3-small, ollama:…, or none
    #[arg(long, value_name = "NAME")]
    pub(crate) embedder: Option<String>,
    /// The configuration file; by default `greenroom.toml` here, or else the user's
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}
