//! Results inside the arguments of other calls.

use serde_json::{Value, json};

use crate::report::Report;
use crate::router::fill::filled;

#[track_caller]
fn check(report: &Report, expect: &str) {
    let of = |id: &str| (id == "t1").then_some(report);
    assert_eq!(filled(&json!("{t1}"), &of), json!(expect));
}

fn text(text: &str) -> Report {
    Report::text(text)
}

fn value(value: Value) -> Report {
    Report { value: Some(value), ..Report::text("the text says 1") }
}

#[test]
fn a_value_stands_for_itself() {
    check(&value(json!(42)), "42");
    check(&value(json!(-1.5)), "-1.5");
    check(&value(json!(true)), "true");
    check(&value(json!("7.68")), "7.68");
    check(&value(json!({ "result": "7.68", "text": "12% of 64 = 7.68" })), "7.68");
    check(&value(json!({ "result": 8 })), "8");
    // What is no scalar is read as text.
    check(&value(json!({ "result": [1, 2] })), "1");
    check(&value(json!({ "days": 3 })), "1");
    check(&value(Value::Null), "1");
}

#[test]
fn of_a_text_its_first_number_stands() {
    check(&text("The default is 64."), "64");
    check(&text("64"), "64");
    check(&text("It has 64ms, or 70."), "64");
    check(&text("-5 degrees"), "-5");
    check(&text("It is −5 today (or -6)"), "-5");
    check(&text("between (-3, 4)"), "-3");
    check(&text("well --5"), "5");
    check(&text("from 10-20"), "10");
    check(&text("about 3.25 or 4"), "3.25");
    check(&text("It costs $1,234,567.89, no less"), "1234567.89");
    check(&text("1,2 or 3"), "1");
    check(&text("1,2345"), "1");
    check(&text("12,345, and 6"), "12345");
    check(&text("1.5,000"), "1.5");
    // Digits inside names, versions and marks are no numbers.
    check(&text("t1 and GPT-4 say 64"), "64");
    check(&text("Version 0.16.5 has 64 slots"), "64");
    check(&text("As [1] says, 64 [2]"), "64");
    check(&text("max_2 is .5 of 8"), "8");
    // Without a number the text is all there is.
    check(&text("sixty-four"), "sixty-four");
    check(&text("GPT-4"), "GPT-4");
    check(&text(""), "");
}

#[test]
fn every_string_is_filled_once_and_what_is_unknown_stays() {
    let (one, two) = (value(json!("{t2}")), value(json!(2)));
    let of = |id: &str| match id {
        "t1" => Some(&one),
        "t2" => Some(&two),
        _ => None,
    };
    let arguments = json!({
        "{t2}": ["{t1} and {t2}{t2}", 3, null, { "deep": "{{t2}} {t3} { {t2" }],
    });
    let expect = json!({ "{t2}": ["{t2} and 22", 3, null, { "deep": "{2} {t3} { {t2" }] });
    assert_eq!(filled(&arguments, &of), expect);
}
