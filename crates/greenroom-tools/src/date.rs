//! The `date` tool: arithmetic on calendar dates.
//!
//! Dates are of the proleptic Gregorian calendar, years 0001 to 9999, without times or time zones. This
//! module never reads the time except through an injected [`Clock`].

use std::fmt;
use std::sync::Arc;

use greenroom_core::time::Clock;
use greenroom_core::tool::{EffectClass, Tool, ToolContext, ToolError, ToolErrorKind};
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Unit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `date` tool.
#[derive(Clone, Default)]
pub struct DateTool {
    clock: Option<Arc<dyn Clock>>,
}

impl DateTool {
    /// The tool without a clock: "today" is not a date.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The tool with a clock: "today" is the clock's date in UTC.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self { clock: Some(clock) }
    }

    fn date(&self, text: &str) -> Result<Date, ToolError> {
        if text.trim().eq_ignore_ascii_case("today") {
            return self.today();
        }
        parse(text.trim())
    }

    fn today(&self) -> Result<Date, ToolError> {
        let clock = self.clock.as_ref().ok_or_else(|| {
            invalid("`today` is not known here: there is no clock; give a date as YYYY-MM-DD")
        })?;
        let millis = i64::try_from(clock.now().as_millis()).ok();
        millis
            .and_then(|millis| Timestamp::from_millisecond(millis).ok())
            .map(|now| now.to_zoned(TimeZone::UTC).date())
            .ok_or_else(|| ToolError::failed("the clock is beyond the year 9999"))
    }
}

impl fmt::Debug for DateTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DateTool").field("has_clock", &self.clock.is_some()).finish()
    }
}

/// What [`DateTool`] is to work out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DateOperation {
    /// The date some time after `date`, or before it when the amounts are negative.
    Add,
    /// The days from `date` to `to`.
    Difference,
    /// The day of the week of `date`.
    Weekday,
}

/// The arguments of [`DateTool`].
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct DateInput {
    /// What to work out.
    pub operation: DateOperation,
    /// The date to start from, as YYYY-MM-DD.
    pub date: String,
    /// For `difference`: the date to count to, as YYYY-MM-DD.
    #[serde(default)]
    pub to: Option<String>,
    /// For `add`: days to add; negative to go back.
    #[serde(default)]
    pub days: Option<i64>,
    /// For `add`: weeks to add; negative to go back.
    #[serde(default)]
    pub weeks: Option<i64>,
    /// For `add`: months to add; negative to go back. A day that the month lacks becomes its last.
    #[serde(default)]
    pub months: Option<i64>,
    /// For `add`: years to add; negative to go back.
    #[serde(default)]
    pub years: Option<i64>,
}

/// The result of [`DateTool`]. Its `text` is the sentence to quote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "operation", rename_all = "snake_case")]
#[non_exhaustive]
pub enum DateOutput {
    /// The date that was reached.
    #[non_exhaustive]
    Add {
        /// The date, as YYYY-MM-DD.
        date: String,
        /// Its day of the week, in English.
        weekday: &'static str,
        /// For example `2024-01-01 + 60 days is 2024-03-01, a Friday`.
        text: String,
    },
    /// How far two dates are apart.
    #[non_exhaustive]
    Difference {
        /// The days from the first to the second; negative when the second is earlier.
        days: i64,
        /// The same span in whole years, then whole months, then days: three numbers of one sign.
        years_months_days: [i64; 3],
        /// For example `60 days from 2024-01-01 to 2024-03-01`.
        text: String,
    },
    /// The day of the week.
    #[non_exhaustive]
    Weekday {
        /// The date, as YYYY-MM-DD.
        date: String,
        /// The day, in English.
        weekday: &'static str,
        /// For example `2024-03-01 is a Friday`.
        text: String,
    },
}

impl Tool for DateTool {
    type Input = DateInput;
    type Output = DateOutput;

    fn name(&self) -> &str {
        "date"
    }

    fn description(&self) -> &str {
        if self.clock.is_some() {
            "Works with calendar dates (YYYY-MM-DD or `today`): adds days, weeks, months or years, \
             counts the days between two dates, names the day of the week."
        } else {
            "Works with calendar dates (YYYY-MM-DD): adds days, weeks, months or years, counts the \
             days between two dates, names the day of the week. It does not know today's date."
        }
    }

    fn effect(&self) -> EffectClass {
        EffectClass::ReadOnly
    }

    async fn call(&self, input: DateInput, _context: ToolContext) -> Result<DateOutput, ToolError> {
        let date = self.date(&input.date)?;
        match input.operation {
            DateOperation::Add => add(date, &input),
            DateOperation::Difference => {
                let to = input.to.as_deref().ok_or_else(|| {
                    invalid("`difference` needs `to`, the date to count to, as YYYY-MM-DD")
                })?;
                difference(date, self.date(to)?)
            }
            DateOperation::Weekday => {
                let weekday = weekday(date);
                let text = format!("{date} is a {weekday}");
                Ok(DateOutput::Weekday { date: date.to_string(), weekday, text })
            }
        }
    }
}

/// Adds years and months first, then weeks and days, as people count.
fn add(date: Date, input: &DateInput) -> Result<DateOutput, ToolError> {
    let amounts = [
        (input.years, "year"),
        (input.months, "month"),
        (input.weeks, "week"),
        (input.days, "day"),
    ];
    let terms: String = amounts
        .iter()
        .filter_map(|&(amount, unit)| Some((amount.filter(|amount| *amount != 0)?, unit)))
        .map(|(amount, unit)| {
            let sign = if amount < 0 { '-' } else { '+' };
            format!(" {sign} {}", counted(amount.unsigned_abs(), unit))
        })
        .collect();
    if amounts.iter().all(|(amount, _)| amount.is_none()) {
        return Err(invalid("`add` needs at least one of `days`, `weeks`, `months` and `years`"));
    }
    let beyond = || ToolError::failed(format!("{date}{terms} is outside the years 0001 to 9999"));
    let sum = shifted(date, input).filter(|sum| sum.year() >= 1).ok_or_else(beyond)?;
    let weekday = weekday(sum);
    let text = format!("{date}{terms} is {sum}, a {weekday}");
    Ok(DateOutput::Add { date: sum.to_string(), weekday, text })
}

fn shifted(date: Date, input: &DateInput) -> Option<Date> {
    let months =
        input.years.unwrap_or(0).checked_mul(12)?.checked_add(input.months.unwrap_or(0))?;
    let days = input.weeks.unwrap_or(0).checked_mul(7)?.checked_add(input.days.unwrap_or(0))?;
    let date = date.checked_add(Span::new().try_months(months).ok()?).ok()?;
    date.checked_add(Span::new().try_days(days).ok()?).ok()
}

fn difference(from: Date, to: Date) -> Result<DateOutput, ToolError> {
    let span =
        |unit| from.until((unit, to)).map_err(|_| ToolError::failed("the dates are too far apart"));
    let days = i64::from(span(Unit::Day)?.get_days());
    let calendar = span(Unit::Year)?;
    let years_months_days = [
        i64::from(calendar.get_years()),
        i64::from(calendar.get_months()),
        i64::from(calendar.get_days()),
    ];
    let sign = if days < 0 { "-" } else { "" };
    let counted = counted(days.unsigned_abs(), "day");
    let text = format!("{sign}{counted} from {from} to {to}");
    Ok(DateOutput::Difference { days, years_months_days, text })
}

/// Reads exactly YYYY-MM-DD, and says what is wrong with anything else.
fn parse(text: &str) -> Result<Date, ToolError> {
    let shown: String = text.chars().take(40).collect();
    let fields = fields(text)
        .ok_or_else(|| invalid(format!("{shown:?} is not a date of the form YYYY-MM-DD")))?;
    let (year, month, day) = fields;
    if year == 0 {
        return Err(invalid(format!("{shown} is not a date: years are 0001 to 9999")));
    }
    let first = Date::new(year, month, 1)
        .map_err(|_| invalid(format!("{shown} is not a date: months are 01 to 12")))?;
    Date::new(year, month, day).map_err(|_| {
        let days = first.days_in_month();
        invalid(format!("{shown} is not a date: that month has {days} days"))
    })
}

fn fields(text: &str) -> Option<(i16, i8, i8)> {
    let mut parts = text.split('-');
    let mut part = |width: usize| {
        parts.next().filter(|part| part.len() == width && part.bytes().all(|b| b.is_ascii_digit()))
    };
    let fields = (part(4)?.parse().ok()?, part(2)?.parse().ok()?, part(2)?.parse().ok()?);
    parts.next().is_none().then_some(fields)
}

fn invalid(message: impl Into<String>) -> ToolError {
    ToolError::new(ToolErrorKind::InvalidArguments, message)
}

fn counted(amount: u64, unit: &str) -> String {
    if amount == 1 { format!("1 {unit}") } else { format!("{amount} {unit}s") }
}

fn weekday(date: Date) -> &'static str {
    match date.weekday() {
        Weekday::Monday => "Monday",
        Weekday::Tuesday => "Tuesday",
        Weekday::Wednesday => "Wednesday",
        Weekday::Thursday => "Thursday",
        Weekday::Friday => "Friday",
        Weekday::Saturday => "Saturday",
        Weekday::Sunday => "Sunday",
    }
}

#[cfg(test)]
mod tests;
