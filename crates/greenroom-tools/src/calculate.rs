//! The `calculate` tool: arithmetic on decimals, exact wherever a decimal of 28 digits can be.
//!
//! An expression is read into a flat program in postfix order, so that neither evaluating nor printing
//! recurses. This module never uses binary floating point except for roots of higher order, powers
//! with fractional exponents, logarithms and `exp`, whose results are marked inexact.
//!
//! # Precedence, tightest first
//!
//! | operators | example | reads as |
//! |---|---|---|
//! | parentheses, `name(…)` | `max(1, 2)` | |
//! | postfix `%` | `2^50%` | `2^(50%)` |
//! | `^` `**`, right-associative | `2^3^2` | `2^(3^2)` |
//! | `of`, after a percentage | `8 / 50% of 4` | `8 / (50% of 4)` |
//! | prefix `-` `+` | `-2^2` | `-(2^2)` |
//! | `*` `×` `/` `÷` and modulo `%`, left-associative | `7 % 3 * 2` | `(7 % 3) * 2` |
//! | `+` `-` `−`, left-associative | `1 - 2 - 3` | `(1 - 2) - 3` |
//!
//! # The two meanings of `%`
//!
//! Before a number, a name or `(` it is the modulo operator, whose result has the sign of the dividend:
//! `12 % 5` is 2. Anywhere else it is a percentage, a hundredth: `12% * 64`, `12% of 64` and `12% - 3`.
//! `percent` may be written for the latter.
//!
//! A percentage added to or subtracted from something that is not one is relative to it, as on a pocket
//! calculator: `200 + 10%` is 220, and `10% + 5%` is 0.15. Only a bare percentage is: `200 + 2 * 10%`
//! is 200.2.
//!
//! # Numbers
//!
//! `1000`, `1_000`, `.5`, `1.5e-3`, and `1,000` with groups of three. Inside the arguments of a function
//! `max(1,000)` could be one number or two, so it is refused; `max(1, 200)` is two, `max(1_000, 5)` too.
//!
//! # Functions and exactness
//!
//! | function | result |
//! |---|---|
//! | `abs` `floor` `ceil` `min(…)` `max(…)` | exact |
//! | `round(x)`, `round(x, places)` | exact; halves are rounded away from zero |
//! | `+` `-` `*` `/`, `%` and whole exponents | exact when 28 digits suffice, else correct to the last |
//! | `sqrt(x)` | exact when the root is, else 28 digits |
//! | `pow(x, y)` = `x ^ y` with a fractional `y`, `exp(x)`, `ln(x)`, `log(x)` to 10, `log(x, base)` | 15 digits, the last of which may be off by one |
//!
//! The constants are `pi` (`π`) and `e`. `0 ^ 0` is 1. There are no trigonometric functions: whether an
//! angle is in degrees cannot be seen from the expression.

mod arithmetic;
mod fault;
mod lexer;
mod parser;
mod print;

use greenroom_core::tool::{EffectClass, Tool, ToolContext, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use fault::{Fault, FaultKind};

/// The most characters of an expression.
const CHARS_MAX: usize = 1_000;

/// The `calculate` tool.
///
/// `12% of 64` is 7.68, `200 + 10%` is 220, `7 % 3` is 1, `2^3^2` is 512 and `-2^2` is -4. Sums, products
/// and quotients are exact where 28 digits suffice, and otherwise marked as rounded.
#[derive(Debug, Clone, Copy, Default)]
pub struct CalculateTool;

/// The arguments of [`CalculateTool`].
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct CalculateInput {
    /// The expression, for example `12% of 64`, `(1,000 - 250) / 3` or `round(2 ^ 0.5, 4)`.
    pub expression: String,
}

/// The result of [`CalculateTool`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CalculateOutput {
    /// The expression as it was understood.
    pub expression: String,
    /// The value, as a decimal without trailing zeros.
    pub result: String,
    /// Whether the value is exact; otherwise its last digits are rounded.
    pub exact: bool,
    /// The sentence to quote, for example `12% of 64 = 7.68`, or `1 / 3 ≈ 0.3333` when inexact.
    pub text: String,
}

impl Tool for CalculateTool {
    type Input = CalculateInput;
    type Output = CalculateOutput;

    fn name(&self) -> &str {
        "calculate"
    }

    fn description(&self) -> &str {
        "Evaluates an arithmetic expression exactly, in decimals. Use it for every calculation. \
         Operators: + - * / ^, % as modulo (7 % 3) and as percent (12% of 64; 200 + 10% is 220), \
         parentheses. Functions: sqrt abs round(x, places) floor ceil min max pow exp ln log(x, base). \
         Constants: pi e."
    }

    fn effect(&self) -> EffectClass {
        EffectClass::ReadOnly
    }

    async fn call(
        &self,
        input: CalculateInput,
        _context: ToolContext,
    ) -> Result<CalculateOutput, ToolError> {
        Ok(calculate(&input.expression)?)
    }
}

fn calculate(source: &str) -> Result<CalculateOutput, Fault> {
    if source.chars().nth(CHARS_MAX).is_some() {
        return Err(Fault::new(FaultKind::TooLong, CHARS_MAX + 1));
    }
    let program = parser::parse(source)?;
    let (value, exact) = arithmetic::evaluate(&program)?;
    let result = print::number(value);
    let asked = source.split_whitespace().collect::<Vec<_>>().join(" ");
    let sign = if exact { '=' } else { '≈' };
    Ok(CalculateOutput {
        expression: print::program(&program),
        text: format!("{asked} {sign} {result}"),
        result,
        exact,
    })
}

#[cfg(test)]
mod tests;
