//! FI20: what the standard says, and what servers send.

use super::*;

fn events(body: &str, size: usize) -> Vec<String> {
    let mut events = Events::new(Limits::default());
    let mut found = Vec::new();
    for mut piece in body.as_bytes().chunks(size) {
        while let Some(event) = events.next(&mut piece).expect("within the limits") {
            found.push(event.to_owned());
        }
    }
    found
}

#[track_caller]
fn check<const N: usize>(body: &str, expect: [&str; N]) {
    for size in [1, 2, 3, 1000] {
        assert_eq!(events(body, size), expect, "{body:?} in pieces of {size}");
    }
}

#[test]
fn fi20_lines_end_in_three_ways() {
    check("data: a\n\ndata: b\n\n", ["a", "b"]);
    check("data: a\r\n\r\ndata: b\r\n\r\n", ["a", "b"]);
    check("data: a\r\rdata: b\r\r", ["a", "b"]);
    check("data: a\r\n\ndata: b\n\r\n", ["a", "b"]);
    check("data: a\r\ndata: b\r\n\r\n", ["a\nb"]);
    check("data: a\rdata: b\r\r", ["a\nb"]);
    check("\n\n\r\rdata: a\n\n", ["a"]);
}

#[test]
fn fi20_fields_are_read_as_the_standard_says() {
    check("data:a\n\n", ["a"]);
    check("data:  a\n\n", [" a"]);
    check("data: a\ndata: b\n\n", ["a\nb"]);
    check("data\n\n", [""]);
    check("data:\ndata:\n\n", ["\n"]);
    check("data: a:b: c\n\n", ["a:b: c"]);
    check("DATA: a\n data: b\ndatas: c\n\n", []);
}

#[test]
fn fi20_what_is_no_data_is_left_out() {
    check(": ping\n\n: ping\n\ndata: a\n: pong\n\n", ["a"]);
    check("id: 1\nretry: 5\nevent: x\ndata: a\n\n", ["a"]);
    check("event: x\nid: 1\n\ndata: a\n\n", ["a"]);
}

#[test]
fn fi20_an_event_without_its_blank_line_is_not_complete() {
    check("data: a\n\ndata: b\n", ["a"]);
    check("data: a", []);
}

#[test]
fn fi20_signs_that_only_look_like_the_end_of_a_line_are_text() {
    check("data: a\u{2028}b\u{85}c\u{b}d\n\n", ["a\u{2028}b\u{85}c\u{b}d"]);
}
