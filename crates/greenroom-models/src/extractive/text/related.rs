//! Words that questions and answers use for the same thing: "how big" is answered by a capacity.

use super::lexicon::{Lexicon, TermId};

/// The terms that are related to `term`; a few groups of everyday words, no more.
pub(super) fn related(term: TermId, lexicon: &mut Lexicon) -> Vec<TermId> {
    let mut related = Vec::new();
    for group in GROUPS {
        let terms: Vec<_> = group.split(' ').map(|word| lexicon.stem(word)).collect();
        if terms.contains(&term) {
            related.extend(terms.into_iter().filter(|&other| other != term));
        }
    }
    related
}

const GROUPS: &[&str] = &[
    "born birth birthplace birthday",
    "old older oldest young younger youngest age born",
    "die died death",
    "found founded founder establish established form formed formation create created",
    "write wrote written author writer",
    "make create build construct new produce",
    "author creator maintainer developer",
    "located location based headquartered headquarters city",
    "population inhabitants people",
    "marry married spouse wife husband",
    "film movie",
    "star starred starring actor actress cast",
    "size big large small capacity length bytes",
    "long duration seconds milliseconds minutes time timeout",
    "limit maximum max most cap bound bounded",
    "minimum min least msrv",
    "install installation installing setup add dependency dependencies",
    "delete remove drop erase",
    "error errors fail failure failed",
    "fast faster speed performance quick slow",
    "start begin launch run",
    "stop end halt shutdown terminate",
    "configure configuration config setting settings option options",
    "license licence licensed",
    "support supported supports compatible",
    "require required requires requirement requirements need needs",
    "version release released",
    "first original initial",
    "restart restarts restarted",
    "default defaults",
];
