//! Tests of `date`.

use std::time::Duration;

use greenroom_core::BoxFuture;
use greenroom_core::time;
use greenroom_core::tool::DynTool;
use serde_json::{Value, json};

use super::*;

async fn call(tool: &DateTool, arguments: Value) -> Result<Value, ToolError> {
    tool.call_json(arguments, ToolContext::new("c1".into(), "key")).await
}

async fn answer(arguments: Value) -> Value {
    let shown = arguments.to_string();
    call(&DateTool::new(), arguments).await.unwrap_or_else(|error| panic!("{shown}: {error}"))
}

async fn refusal(arguments: Value) -> (ToolErrorKind, String) {
    let shown = arguments.to_string();
    let error = call(&DateTool::new(), arguments).await.expect_err(&shown);
    (error.kind, error.message)
}

#[tokio::test]
async fn a_weekday_is_named() {
    assert_eq!(
        answer(json!({ "operation": "weekday", "date": "2024-03-01" })).await,
        json!({
            "operation": "weekday",
            "date": "2024-03-01",
            "weekday": "Friday",
            "text": "2024-03-01 is a Friday",
        })
    );
}

#[tokio::test]
async fn days_are_counted_across_leap_days_and_backwards() {
    let between = |date, to| json!({ "operation": "difference", "date": date, "to": to });
    assert_eq!(
        answer(between("2024-01-01", "2024-03-01")).await,
        json!({
            "operation": "difference",
            "days": 60,
            "years_months_days": [0, 2, 0],
            "text": "60 days from 2024-01-01 to 2024-03-01",
        })
    );
    let back = answer(between("2025-03-01", "2024-01-31")).await;
    assert_eq!(back["days"], -395);
    assert_eq!(back["years_months_days"], json!([-1, -1, -1]));
    assert_eq!(back["text"], "-395 days from 2025-03-01 to 2024-01-31");
    let one = answer(between("2023-12-31", "2024-01-01")).await;
    assert_eq!(one["text"], "1 day from 2023-12-31 to 2024-01-01");
    assert_eq!(answer(between("2024-01-01", "2024-01-01")).await["days"], 0);
    assert_eq!(answer(between("0001-01-01", "9999-12-31")).await["days"], 3_652_058);
}

#[tokio::test]
async fn amounts_are_added_years_and_months_first() {
    let sum = answer(json!({ "operation": "add", "date": "2024-01-01", "days": 60 })).await;
    assert_eq!(
        sum,
        json!({
            "operation": "add",
            "date": "2024-03-01",
            "weekday": "Friday",
            "text": "2024-01-01 + 60 days is 2024-03-01, a Friday",
        })
    );
    let month_end = json!({ "operation": "add", "date": "2024-01-31", "months": 1 });
    assert_eq!(answer(month_end).await["date"], "2024-02-29");
    let leap_day = json!({ "operation": "add", "date": "2024-02-29", "years": 1 });
    assert_eq!(answer(leap_day).await["date"], "2025-02-28");
    let mixed = json!({
        "operation": "add", "date": "2024-01-31", "years": -1, "months": 1, "weeks": 1, "days": -6,
    });
    let mixed = answer(mixed).await;
    assert_eq!(mixed["date"], "2023-03-01");
    let text = "2024-01-31 - 1 year + 1 month + 1 week - 6 days is 2023-03-01, a Wednesday";
    assert_eq!(mixed["text"], text);
    let months_first = json!({ "operation": "add", "date": "2024-01-30", "months": 1, "days": 2 });
    assert_eq!(answer(months_first).await["date"], "2024-03-02");
    let nothing = json!({ "operation": "add", "date": "2024-01-31", "days": 0 });
    assert_eq!(answer(nothing).await["text"], "2024-01-31 is 2024-01-31, a Wednesday");
}

#[tokio::test]
async fn what_is_not_a_date_is_refused_with_the_reason() {
    let cases = [
        ("2023-02-30", "2023-02-30 is not a date: that month has 28 days"),
        ("2023-13-01", "2023-13-01 is not a date: months are 01 to 12"),
        ("2023-00-01", "2023-00-01 is not a date: months are 01 to 12"),
        ("2023-04-00", "2023-04-00 is not a date: that month has 30 days"),
        ("0000-01-01", "0000-01-01 is not a date: years are 0001 to 9999"),
        ("2023-1-1", "\"2023-1-1\" is not a date of the form YYYY-MM-DD"),
        ("2023-01-01T00:00", "\"2023-01-01T00:00\" is not a date of the form YYYY-MM-DD"),
        ("2023-01-01-01", "\"2023-01-01-01\" is not a date of the form YYYY-MM-DD"),
        ("-001-01-01", "\"-001-01-01\" is not a date of the form YYYY-MM-DD"),
        ("+023-01-01", "\"+023-01-01\" is not a date of the form YYYY-MM-DD"),
        ("tomorrow", "\"tomorrow\" is not a date of the form YYYY-MM-DD"),
        ("", "\"\" is not a date of the form YYYY-MM-DD"),
    ];
    for (date, message) in cases {
        let refusal = refusal(json!({ "operation": "weekday", "date": date })).await;
        assert_eq!(refusal, (ToolErrorKind::InvalidArguments, message.into()), "{date}");
    }
    let long = refusal(json!({ "operation": "weekday", "date": "é".repeat(5_000) })).await;
    assert!(long.1.len() < 200, "{}", long.1);
}

#[tokio::test]
async fn incomplete_and_unreachable_requests_are_refused() {
    let (kind, message) = refusal(json!({ "operation": "difference", "date": "2024-01-01" })).await;
    assert_eq!(kind, ToolErrorKind::InvalidArguments);
    assert!(message.contains("needs `to`"), "{message}");
    let (kind, message) = refusal(json!({ "operation": "add", "date": "2024-01-01" })).await;
    assert_eq!(kind, ToolErrorKind::InvalidArguments);
    assert!(message.contains("at least one"), "{message}");
    let (kind, _) = refusal(json!({ "operation": "multiply", "date": "2024-01-01" })).await;
    assert_eq!(kind, ToolErrorKind::InvalidArguments);
    let limits = [
        json!({ "days": i64::MAX }),
        json!({ "days": i64::MIN }),
        json!({ "years": i64::MAX }),
        json!({ "weeks": i64::MIN, "days": -1 }),
        json!({ "years": 8_000 }),
        json!({ "years": -2_024 }),
    ];
    for mut arguments in limits {
        arguments["operation"] = "add".into();
        arguments["date"] = "2024-01-01".into();
        let (kind, message) = refusal(arguments).await;
        assert_eq!(kind, ToolErrorKind::Failed);
        assert!(message.contains("outside the years 0001 to 9999"), "{message}");
    }
}

struct Stopped(u64);

impl Clock for Stopped {
    fn now(&self) -> time::Timestamp {
        time::Timestamp::from_millis(self.0)
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _span: Duration) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn today_is_known_to_a_clock_alone() {
    let (kind, message) = refusal(json!({ "operation": "weekday", "date": "today" })).await;
    assert_eq!(kind, ToolErrorKind::InvalidArguments);
    assert!(message.contains("there is no clock"), "{message}");
    assert!(DateTool::new().spec().description.contains("does not know today"));

    // The last millisecond of 2024-02-29 in UTC.
    let tool = DateTool::with_clock(Arc::new(Stopped(1_709_251_199_999)));
    let weekday = call(&tool, json!({ "operation": "weekday", "date": "Today" })).await.unwrap();
    assert_eq!(weekday["text"], "2024-02-29 is a Thursday");
    let until = json!({ "operation": "difference", "date": "2024-02-01", "to": "today" });
    assert_eq!(call(&tool, until).await.unwrap()["days"], 28);

    let broken = DateTool::with_clock(Arc::new(Stopped(u64::MAX)));
    let error =
        call(&broken, json!({ "operation": "weekday", "date": "today" })).await.unwrap_err();
    assert_eq!(error.kind, ToolErrorKind::Failed);
}
