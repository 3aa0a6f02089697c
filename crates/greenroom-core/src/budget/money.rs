//! Money: amounts, and what a model's tokens cost.
//!
//! Everything is whole numbers, so that sums are exact and the same everywhere.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Usage;

/// An amount of US dollars, in whole billionths.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Usd(u64);

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// So many billionths of a dollar.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The amount in billionths of a dollar.
    #[must_use]
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// The amount in dollars, for people and for JSON.
    #[must_use]
    pub fn dollars(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// The sum, or the largest amount there is.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// What is left, and nothing when there is not enough.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Reads an amount as people write it: `2`, `0.50`, `12.345`.
    ///
    /// # Errors
    ///
    /// [`BadAmount`] when it is no number of dollars with at most nine decimals.
    pub fn parse(text: &str) -> Result<Self, BadAmount> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        if text.trim_matches('.').is_empty()
            || !is_number(whole)
            || !is_number(decimals)
            || decimals.len() > 9
        {
            return Err(BadAmount);
        }
        let whole: u64 = format!("0{whole}").parse().map_err(|_| BadAmount)?;
        let nanos: u64 = format!("{decimals:0<9}").parse().map_err(|_| BadAmount)?;
        let total = whole.checked_mul(1_000_000_000).and_then(|whole| whole.checked_add(nanos));
        total.map(Self).ok_or(BadAmount)
    }
}

/// A text that is no amount of dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an amount of dollars, such as 2 or 0.50")]
pub struct BadAmount;

/// Two decimals, and four below a dollar: `$12.34`, `$0.0042`. What is more than nothing is never shown as
/// nothing.
impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1..=99_999 => f.write_str("<$0.0001"),
            nanos if nanos < 1_000_000_000 => write!(f, "${:.4}", self.dollars()),
            _ => write!(f, "${:.2}", self.dollars()),
        }
    }
}

/// What a model's tokens cost: each field is the price of a million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Price {
    /// Tokens sent.
    pub input: Usd,
    /// Tokens sent that the provider had in its cache.
    pub cached: Usd,
    /// Tokens sent that the provider put into its cache.
    pub cache_written: Usd,
    /// Tokens received, reasoning included.
    pub output: Usd,
}

impl Price {
    /// The price of what costs nothing, such as a model that runs in the same process.
    pub const FREE: Self =
        Self { input: Usd::ZERO, cached: Usd::ZERO, cache_written: Usd::ZERO, output: Usd::ZERO };

    /// The price of a model whose provider has no cheaper tokens.
    #[must_use]
    pub const fn flat(input: Usd, output: Usd) -> Self {
        Self { input, cached: input, cache_written: input, output }
    }

    /// The higher of two prices, for each kind of token.
    #[must_use]
    pub fn most(self, other: Self) -> Self {
        Self {
            input: self.input.max(other.input),
            cached: self.cached.max(other.cached),
            cache_written: self.cache_written.max(other.cache_written),
            output: self.output.max(other.output),
        }
    }

    /// What this much use costs, rounded up.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> Usd {
        let (cached, written) =
            (usage.cached_tokens.unwrap_or(0), usage.cache_written_tokens.unwrap_or(0));
        let fresh = usage.input_tokens.saturating_sub(cached).saturating_sub(written);
        let parts = [
            (fresh, self.input),
            (cached, self.cached),
            (written, self.cache_written),
            (usage.output_tokens, self.output),
        ];
        let product = |(tokens, price): (u64, Usd)| u128::from(tokens) * u128::from(price.0);
        let sum: u128 = parts.into_iter().map(product).sum();
        Usd(u64::try_from(sum.div_ceil(1_000_000)).unwrap_or(u64::MAX))
    }

    /// The most that so many tokens can cost.
    #[must_use]
    pub fn cost_max(&self, input_tokens: u64, output_tokens: u64) -> Usd {
        let input = self.input.max(self.cached).max(self.cache_written);
        let usage = Usage { input_tokens, output_tokens, ..Usage::default() };
        Self { input, ..*self }.cost(&usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_amount(text: &str, nanos: Option<u64>) {
        assert_eq!(Usd::parse(text).ok().map(Usd::nanos), nanos, "{text}");
    }

    #[test]
    fn amounts_are_read_as_people_write_them() {
        check_amount("2", Some(2_000_000_000));
        check_amount("0.50", Some(500_000_000));
        check_amount(".5", Some(500_000_000));
        check_amount("3.", Some(3_000_000_000));
        check_amount("0.000000001", Some(1));
        for text in ["", ".", "-1", "1e3", "$2", "1,5", "0.0000000001", "99999999999999"] {
            check_amount(text, None);
        }
    }

    #[test]
    fn amounts_are_shown_with_what_matters() {
        let shown = |text: &str| Usd::parse(text).map(|amount| amount.to_string());
        assert_eq!(shown("12.345"), Ok("$12.35".to_owned()));
        assert_eq!(shown("0.0042"), Ok("$0.0042".to_owned()));
        assert_eq!(shown("0.00001"), Ok("<$0.0001".to_owned()));
        assert_eq!(shown("0"), Ok("$0.0000".to_owned()));
    }

    #[test]
    fn each_kind_of_token_has_its_price_and_a_part_is_rounded_up() {
        let dollars = |text| Usd::parse(text).expect("an amount");
        let price = Price {
            input: dollars("2"),
            cached: dollars("0.1"),
            cache_written: dollars("2.5"),
            output: dollars("10"),
        };
        let usage = Usage {
            input_tokens: 1000,
            cached_tokens: Some(600),
            cache_written_tokens: Some(100),
            output_tokens: 50,
            reasoning_tokens: Some(40),
            ..Usage::default()
        };
        // 300 · 2 + 600 · 0.1 + 100 · 2.5 + 50 · 10 = 1410 millionths.
        assert_eq!(price.cost(&usage), dollars("0.00141"));
        assert_eq!(price.cost_max(1000, 50), dollars("0.003"));
        let one = Usage { output_tokens: 1, ..Usage::default() };
        assert_eq!(Price::flat(Usd::ZERO, Usd::from_nanos(1)).cost(&one), Usd::from_nanos(1));
        let all = Usage { output_tokens: u64::MAX, ..Usage::default() };
        assert_eq!(price.cost(&all), Usd::from_nanos(u64::MAX));
        assert_eq!(Price::FREE.cost(&all), Usd::ZERO);
    }
}
