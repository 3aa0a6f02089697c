//! Text as the model sees it: words and their stems, questions, and the units that can be quoted.
//! Nothing here chooses between units.

mod kind;
mod lexicon;
mod question;
mod related;
mod sentences;
mod units;
mod words;

pub(super) use kind::{Kind, is_month, is_year};
pub(super) use lexicon::{Lexicon, TermId, is_function_word};
pub(super) use question::{Question, is_vague};
pub(super) use sentences::sentence_ends;
pub(super) use units::{Unit, UnitKind, negates, normalised, units};
pub(super) use words::{Word, capped, is_numeral, is_one_of, words};
