//! What models cost, as data: each entry says where its numbers were published, and when they were read.
//!
//! A model that is not listed has no price here, and its cost is unknown. So is that of whatever a price for
//! tokens does not say: surcharges for long requests, for regions or for speed, and fees of tools.

use greenroom_core::budget::{Price, Usd};

use super::vendors::Vendor;

/// The price of a model, and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listed {
    /// The provider whose bill it is: `openai` stands for all of OpenAI's wires.
    pub vendor: &'static str,
    /// The model, without the date of a snapshot.
    pub model: &'static str,
    /// What its tokens cost.
    pub price: Price,
    /// Where it is published.
    pub source: &'static str,
    /// When it was read, as year, month and day.
    pub read_on: &'static str,
}

const OPENAI: [&str; 3] =
    ["openai", "https://developers.openai.com/api/docs/pricing", "2026-05-04"];
/// Older models, which that page leaves out by now, as others had read them there.
const OPENAI_OLDER: [&str; 3] =
    ["openai", "https://platform.openai.com/docs/pricing", "2026-05-07"];
const ANTHROPIC: [&str; 3] =
    ["anthropic", "https://platform.claude.com/docs/en/about-claude/pricing", "2026-10-24"];

/// An entry. The prices are in thousandths of a dollar for a million tokens: sent, from the cache, into the
/// cache, received.
const fn listed(
    [vendor, source, read_on]: [&'static str; 3],
    model: &'static str,
    mills: [u64; 4],
) -> Listed {
    let [input, cached, cache_written, output] = mills;
    let price = Price {
        input: Usd::from_nanos(input * 1_000_000),
        cached: Usd::from_nanos(cached * 1_000_000),
        cache_written: Usd::from_nanos(cache_written * 1_000_000),
        output: Usd::from_nanos(output * 1_000_000),
    };
    Listed { vendor, model, price, source, read_on }
}

/// All prices. Anthropic's are those of caches that last five minutes. Models whose price depends on the
/// length of the request are left out.
pub const PRICES: &[Listed] = &[
    listed(OPENAI, "gpt-5.5", [5000, 500, 5000, 30_000]),
    listed(OPENAI, "gpt-5.4", [2500, 250, 2500, 15_000]),
    listed(OPENAI, "gpt-5.4-mini", [750, 75, 750, 4500]),
    listed(OPENAI, "gpt-5.4-nano", [200, 20, 200, 1250]),
    listed(OPENAI_OLDER, "gpt-5", [1250, 125, 1250, 10_000]),
    listed(OPENAI_OLDER, "gpt-5-mini", [250, 25, 250, 2000]),
    listed(OPENAI_OLDER, "gpt-5-nano", [50, 5, 50, 400]),
    listed(OPENAI_OLDER, "gpt-4.1", [2000, 500, 2000, 8000]),
    listed(OPENAI_OLDER, "gpt-4.1-mini", [400, 100, 400, 1600]),
    listed(OPENAI_OLDER, "gpt-4.1-nano", [100, 25, 100, 400]),
    listed(OPENAI_OLDER, "gpt-4o", [2500, 1250, 2500, 10_000]),
    listed(OPENAI_OLDER, "gpt-4o-mini", [150, 75, 150, 600]),
    listed(ANTHROPIC, "claude-opus-5-5", [4000, 200, 5000, 20_000]),
    listed(ANTHROPIC, "claude-sonnet-5-5", [2000, 100, 2500, 10_000]),
    listed(ANTHROPIC, "claude-fable-5-1", [10_000, 250, 12_500, 50_000]),
    listed(ANTHROPIC, "claude-fable-5", [10_000, 1000, 12_500, 50_000]),
    listed(ANTHROPIC, "claude-opus-5", [5000, 500, 6250, 25_000]),
    listed(ANTHROPIC, "claude-opus-4-8", [5000, 500, 6250, 25_000]),
    listed(ANTHROPIC, "claude-opus-4-7", [5000, 500, 6250, 25_000]),
    listed(ANTHROPIC, "claude-opus-4-6", [5000, 500, 6250, 25_000]),
    listed(ANTHROPIC, "claude-opus-4-5", [5000, 500, 6250, 25_000]),
    listed(ANTHROPIC, "claude-sonnet-5", [2000, 200, 2500, 10_000]),
    listed(ANTHROPIC, "claude-sonnet-4-6", [3000, 300, 3750, 15_000]),
    listed(ANTHROPIC, "claude-sonnet-4-5", [3000, 300, 3750, 15_000]),
    listed(ANTHROPIC, "claude-haiku-4-5", [1000, 100, 1250, 5000]),
];

/// The listed price of a vendor's model. The date of a snapshot is passed over.
#[must_use]
pub fn listed_price(vendor: &Vendor, model: &str) -> Option<&'static Listed> {
    let vendor = vendor.name.strip_suffix("-responses").unwrap_or(vendor.name);
    let model = without_date(model);
    PRICES.iter().find(|listed| listed.vendor == vendor && listed.model == model)
}

/// `gpt-5-2025-08-07` and `claude-opus-4-5-20251101` without their dates.
fn without_date(model: &str) -> &str {
    let is_date = |end: &str| {
        end.char_indices().all(|(i, c)| match i {
            0 => c == '-',
            5 | 8 if end.len() == 11 => c == '-',
            _ => c.is_ascii_digit(),
        })
    };
    for length in [11, 9] {
        let at = model.len().checked_sub(length).filter(|at| model.is_char_boundary(*at));
        if let Some((model, end)) = at.map(|at| model.split_at(at))
            && is_date(end)
        {
            return model;
        }
    }
    model
}

#[cfg(test)]
mod tests {
    use super::super::vendors::vendor;
    use super::*;

    #[track_caller]
    fn check(name: &str, model: &str, expect: Option<&str>) {
        let vendor = vendor(name).expect("there is one");
        assert_eq!(listed_price(vendor, model).map(|listed| listed.model), expect, "{model}");
    }

    #[test]
    fn a_model_is_found_by_its_whole_name_and_snapshots_by_their_models() {
        check("openai", "gpt-5", Some("gpt-5"));
        check("openai-responses", "gpt-5-2025-08-07", Some("gpt-5"));
        check("openai", "gpt-5-mini", Some("gpt-5-mini"));
        check("anthropic", "claude-opus-4-5-20251101", Some("claude-opus-4-5"));
        for unknown in ["gpt-5-turbo", "gpt", "gpt-5-20251", "x-2025-08-0é", "", "-2025-08-07"] {
            check("openai", unknown, None);
        }
        check("openrouter", "gpt-5", None);
    }

    #[test]
    fn every_entry_is_whole() {
        let mut names = std::collections::BTreeSet::new();
        for Listed { vendor: name, model, price, source, read_on } in PRICES {
            assert!(vendor(name).is_some() && names.insert((name, model)), "{name}:{model}");
            assert!(price.cached <= price.input && price.input < price.output, "{model}");
            assert!(price.cache_written >= price.input && price.cached > Usd::ZERO, "{model}");
            assert!(source.starts_with("https://") && read_on.len() == 10, "{model}");
        }
    }
}
