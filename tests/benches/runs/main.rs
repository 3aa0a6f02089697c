//! What runs cost: beside the loop that people write by hand, and for outliving their process.
//!
//! `cargo bench -p greenroom-tests --bench runs` prints tables in Markdown; `-- NAME` one of them. Measurements take turns
//! and most have processes of their own; a figure is the median of the rounds, and a ratio the median of the rounds'
//! ratios. A wrong answer ends the program. The journals are below `TMPDIR`, which should be on the disk that is meant.

#![expect(clippy::print_stdout, reason = "what a benchmark prints is its result")]

mod durable;
mod measure;
mod models;

fn main() {
    let words = std::env::args().skip(1).filter(|word| !word.starts_with("--"));
    let words: Vec<_> = words.collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", latency, pace, speech] => models::serve([latency, pace, speech]),
        ["models", who, what, n, url] => {
            models::do_it(who, what, n.parse().expect("a number"), url)
        }
        ["durable", what, dir] => durable::do_it(what, dir),
        [] => models::TABLES.into_iter().chain(durable::TABLES).for_each(table),
        [name] => table(name),
        _ => println!("a table, or nothing for all"),
    }
}

fn table(name: &str) {
    if models::TABLES.contains(&name) {
        models::table(name);
    } else if durable::TABLES.contains(&name) {
        durable::table(name);
    } else {
        println!("there are {:?} and {:?}", models::TABLES, durable::TABLES);
    }
}
