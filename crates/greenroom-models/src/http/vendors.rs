//! The vendors, as data. One that speaks a known wire takes one entry here and nothing else.

use crate::wire::{EmbeddingsWire, OutputStyle, Quirks, Wire};

/// A vendor of models, or a server that is run at home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Vendor {
    /// What stands before the colon of a model's name.
    pub name: &'static str,
    /// How it is spoken to.
    pub wire: Wire,
    /// How it is asked for embeddings, when it has any.
    pub embeddings: Option<EmbeddingsWire>,
    /// Where it is, unless the settings say otherwise.
    pub base_url: &'static str,
    /// Whether it wants a key.
    pub key: KeyNeed,
    /// The variable that a binary reads the key from.
    pub key_variable: &'static str,
    /// The variable that a binary reads another base URL from.
    pub base_url_variable: &'static str,
    /// Where keys are made; for a server at home, where it is explained.
    pub page: &'static str,
    /// Where it leaves the dialect of its wire.
    pub quirks: Quirks,
    /// How the names of those of its models begin that enforce no schema but can be made to call a tool.
    pub without_schema: &'static [&'static str],
    /// How the names of those of its models begin that cannot be made to call a tool.
    pub without_force: &'static [&'static str],
}

impl Vendor {
    /// Where it leaves the dialect of its wire with one of its models.
    pub(super) fn quirks_of(&self, model: &str) -> Quirks {
        let begins = |names: &[&str]| names.iter().any(|begin| model.starts_with(begin));
        let mut quirks = self.quirks;
        if begins(self.without_schema) {
            quirks.output = OutputStyle::Tool;
        }
        quirks.no_forced_calls |= begins(self.without_force);
        quirks
    }
}

/// Whether a vendor wants a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyNeed {
    /// Nothing works without one.
    Required,
    /// One is sent when there is one.
    Optional,
}

/// OpenAI's dialect as it is published.
const PLAIN: Quirks = Quirks {
    max_tokens: false,
    no_stream_options: false,
    output: OutputStyle::Schema,
    no_parallel_choice: false,
    any_tool: false,
    random_seed: false,
    no_effort: false,
    no_forced_calls: false,
};

/// A dialect in which a schema and tools exclude each other.
const APART: Quirks = Quirks { output: OutputStyle::SchemaAlone, ..PLAIN };

/// The dialect as most others speak it, with the older name of the limit.
const COMMON: Quirks = Quirks { max_tokens: true, ..APART };

/// A vendor that speaks OpenAI's chat completions in the common dialect, with a key.
const fn common(
    name: &'static str,
    base_url: &'static str,
    [key_variable, base_url_variable, page]: [&'static str; 3],
) -> Vendor {
    Vendor {
        name,
        wire: Wire::OpenAiChat,
        embeddings: Some(EmbeddingsWire::OpenAi),
        base_url,
        key: KeyNeed::Required,
        key_variable,
        base_url_variable,
        page,
        quirks: COMMON,
        without_schema: &[],
        without_force: &[],
    }
}

/// A server at home that speaks the same, and takes a key when it was started with one.
const fn at_home(name: &'static str, base_url: &'static str, texts: [&'static str; 3]) -> Vendor {
    Vendor { key: KeyNeed::Optional, ..common(name, base_url, texts) }
}

const OPENAI: [&str; 3] =
    ["OPENAI_API_KEY", "OPENAI_BASE_URL", "https://platform.openai.com/api-keys"];
const OLLAMA: [&str; 3] = ["OLLAMA_API_KEY", "OLLAMA_HOST", "https://docs.ollama.com"];

/// Older models than those that structured outputs came with.
const OPENAI_WITHOUT_SCHEMA: &[&str] = &["gpt-3.5", "gpt-4-", "gpt-4o-2024-05-13"];
const ANTHROPIC_WITHOUT_SCHEMA: &[&str] = &[
    "claude-2",
    "claude-3",
    "claude-sonnet-4-0",
    "claude-sonnet-4-2025",
    "claude-opus-4-0",
    "claude-opus-4-2025",
];

/// They always think, and a forced call is answered with 400 (platform.claude.com, "What's new in Claude
/// Opus 5.5", read on 2026-11-26).
const ANTHROPIC_WITHOUT_FORCE: &[&str] = &["claude-opus-5-5", "claude-fable-5-1"];

/// All vendors, in the order in which they are listed.
pub const VENDORS: &[Vendor] = &[
    Vendor {
        quirks: PLAIN,
        without_schema: OPENAI_WITHOUT_SCHEMA,
        ..common("openai", "https://api.openai.com/v1", OPENAI)
    },
    Vendor {
        wire: Wire::OpenAiResponses,
        quirks: PLAIN,
        without_schema: OPENAI_WITHOUT_SCHEMA,
        ..common("openai-responses", "https://api.openai.com/v1", OPENAI)
    },
    Vendor {
        wire: Wire::Anthropic,
        embeddings: None,
        quirks: PLAIN,
        without_schema: ANTHROPIC_WITHOUT_SCHEMA,
        without_force: ANTHROPIC_WITHOUT_FORCE,
        ..common(
            "anthropic",
            "https://api.anthropic.com",
            [
                "ANTHROPIC_API_KEY",
                "ANTHROPIC_BASE_URL",
                "https://platform.claude.com/settings/keys",
            ],
        )
    },
    Vendor {
        wire: Wire::Ollama,
        embeddings: Some(EmbeddingsWire::Ollama),
        quirks: APART,
        ..at_home("ollama", "http://127.0.0.1:11434", OLLAMA)
    },
    at_home(
        "ollama-v1",
        "http://127.0.0.1:11434/v1",
        ["OLLAMA_API_KEY", "OLLAMA_V1_BASE_URL", OLLAMA[2]],
    ),
    at_home(
        "vllm",
        "http://127.0.0.1:8000/v1",
        ["VLLM_API_KEY", "VLLM_BASE_URL", "https://docs.vllm.ai"],
    ),
    at_home(
        "llamacpp",
        "http://127.0.0.1:8080/v1",
        ["LLAMACPP_API_KEY", "LLAMACPP_BASE_URL", "https://github.com/ggml-org/llama.cpp"],
    ),
    at_home(
        "lmstudio",
        "http://127.0.0.1:1234/v1",
        ["LMSTUDIO_API_KEY", "LMSTUDIO_BASE_URL", "https://lmstudio.ai/docs"],
    ),
    Vendor {
        embeddings: None,
        quirks: APART,
        without_schema: &["llama", "gemma", "mixtral", "qwen", "deepseek", "compound"],
        ..common(
            "groq",
            "https://api.groq.com/openai/v1",
            ["GROQ_API_KEY", "GROQ_BASE_URL", "https://console.groq.com/keys"],
        )
    },
    common(
        "together",
        "https://api.together.xyz/v1",
        ["TOGETHER_API_KEY", "TOGETHER_BASE_URL", "https://api.together.ai/settings/api-keys"],
    ),
    Vendor {
        quirks: Quirks {
            no_stream_options: true,
            any_tool: true,
            random_seed: true,
            no_effort: true,
            ..COMMON
        },
        ..common(
            "mistral",
            "https://api.mistral.ai/v1",
            ["MISTRAL_API_KEY", "MISTRAL_BASE_URL", "https://console.mistral.ai/api-keys"],
        )
    },
    Vendor {
        embeddings: None,
        quirks: Quirks { output: OutputStyle::Words, no_parallel_choice: true, ..COMMON },
        ..common(
            "deepseek",
            "https://api.deepseek.com",
            ["DEEPSEEK_API_KEY", "DEEPSEEK_BASE_URL", "https://platform.deepseek.com/api_keys"],
        )
    },
    common(
        "openrouter",
        "https://openrouter.ai/api/v1",
        ["OPENROUTER_API_KEY", "OPENROUTER_BASE_URL", "https://openrouter.ai/settings/keys"],
    ),
    common("xai", "https://api.x.ai/v1", ["XAI_API_KEY", "XAI_BASE_URL", "https://console.x.ai"]),
    common(
        "fireworks",
        "https://api.fireworks.ai/inference/v1",
        [
            "FIREWORKS_API_KEY",
            "FIREWORKS_BASE_URL",
            "https://app.fireworks.ai/settings/users/api-keys",
        ],
    ),
    Vendor {
        embeddings: None,
        quirks: APART,
        ..common(
            "cerebras",
            "https://api.cerebras.ai/v1",
            ["CEREBRAS_API_KEY", "CEREBRAS_BASE_URL", "https://cloud.cerebras.ai"],
        )
    },
    common(
        "gemini",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        ["GEMINI_API_KEY", "GEMINI_BASE_URL", "https://aistudio.google.com/apikey"],
    ),
];

/// A server that is only known by its address: it is spoken to in the common dialect.
pub(super) const UNNAMED: Vendor = at_home(
    "endpoint",
    "",
    ["GREENROOM_ENDPOINT_KEY", "", "https://platform.openai.com/docs/api-reference/chat"],
);

/// The vendor of a name.
#[must_use]
pub fn vendor(name: &str) -> Option<&'static Vendor> {
    VENDORS.iter().find(|vendor| vendor.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_model_can_is_told_by_its_vendor_and_its_name() {
        let style = |name: &str, model| vendor(name).map(|vendor| vendor.quirks_of(model).output);
        assert_eq!(style("openai", "gpt-5"), Some(OutputStyle::Schema));
        assert_eq!(style("openai", "gpt-4-turbo"), Some(OutputStyle::Tool));
        assert_eq!(style("openai", "gpt-4.1"), Some(OutputStyle::Schema));
        assert_eq!(style("anthropic", "claude-sonnet-4-5-20250929"), Some(OutputStyle::Schema));
        assert_eq!(style("anthropic", "claude-sonnet-4-20250514"), Some(OutputStyle::Tool));
        assert_eq!(style("groq", "llama-3.3-70b-versatile"), Some(OutputStyle::Tool));
        assert_eq!(style("groq", "openai/gpt-oss-120b"), Some(OutputStyle::SchemaAlone));
        assert_eq!(style("deepseek", "deepseek-chat"), Some(OutputStyle::Words));
        assert_eq!(style("ollama", "llama3.2"), Some(OutputStyle::SchemaAlone));
    }
}
