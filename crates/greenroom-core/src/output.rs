//! What a model's final text must be, and what is done about one that is not.
//!
//! A text that misses its shape is shown to the model once, with what is wrong, behind the conversation and
//! not in it: the next try replaces it, so failed tries do not pile up. A reply that was withheld is given up
//! at once. One that is empty or was cut off is asked for once more, because more tries cost as much and
//! rarely end otherwise.
//!
//! Which schema a type has, and whether a value fits it, is known to whoever makes the [`OutputCheck`]. How
//! a provider is told the schema is known to its wire.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::message::Message;
use crate::model::{ChatReply, FinishReason};
use crate::report::TaskFailureKind;

/// Judges a model's final text: the value it stands for, or what is wrong with it, for the model to read.
pub type OutputCheck = Arc<dyn Fn(&str) -> Result<Value, String> + Send + Sync>;

/// A JSON shape that a model's final text must have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutputSchema {
    /// A short name for the shape, for example `plan`.
    pub name: String,
    /// The JSON Schema (draft 2020-12).
    pub schema: Value,
}

impl OutputSchema {
    /// The field that a value is put into for providers that take objects only. Whoever reads the text takes
    /// the value in the field for the value itself.
    pub const FIELD: &str = "value";

    /// Whether every value of the shape is an object, and the schema says so where providers look.
    #[must_use]
    pub fn is_object(&self) -> bool {
        let says = |keyword| self.schema.get(keyword).is_some();
        self.schema.get("type").is_some_and(|kind| kind == "object")
            && !says("anyOf")
            && !says("oneOf")
    }

    /// The schema of an object: its own, or that of an object with the value in [`OutputSchema::FIELD`].
    #[must_use]
    pub fn object(&self) -> Cow<'_, Value> {
        if self.is_object() {
            return Cow::Borrowed(&self.schema);
        }
        let mut inner = self.schema.clone();
        let place = format!("#/properties/{}", Self::FIELD);
        move_references(&mut inner, &place);
        Cow::Owned(json!({
            "type": "object", "properties": { Self::FIELD: inner }, "required": [Self::FIELD],
        }))
    }
}

/// A reference into a schema says where it leads from the root, which is elsewhere now.
fn move_references(schema: &mut Value, place: &str) {
    match schema {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                match value {
                    Value::String(to) if name == "$ref" && to.starts_with('#') => {
                        *to = format!("{place}{}", &to[1..]);
                    }
                    other => move_references(other, place),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| move_references(item, place)),
        _ => {}
    }
}

/// Why a reply cannot be used.
///
/// | reply | asked again |
/// |---|---|
/// | `Withheld` | never |
/// | `CutOff`, `Empty` | once in a row |
/// | `Misfit` | as often as repairs are left |
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unfit {
    /// The model or its provider refused to answer.
    Withheld,
    /// The limit on output tokens cut it off.
    CutOff,
    /// There is no text.
    Empty,
    /// The text does not have the shape; what is wrong with it.
    Misfit(String),
}

impl Unfit {
    /// The kind of failure that it is when nothing can be done about it.
    #[must_use]
    pub fn failure(&self) -> TaskFailureKind {
        match self {
            Self::Withheld => TaskFailureKind::Refused,
            Self::CutOff => TaskFailureKind::CutOff,
            Self::Empty => TaskFailureKind::Empty,
            Self::Misfit(_) => TaskFailureKind::Output,
        }
    }

    /// Whether it makes sense to ask again, behind `last`, what was wrong with the reply before.
    #[must_use]
    pub fn may_be_repaired(&self, last: Option<&Self>) -> bool {
        match self {
            Self::Withheld => false,
            Self::CutOff | Self::Empty => last != Some(self),
            Self::Misfit(_) => true,
        }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Withheld => "the provider withheld the reply",
            Self::CutOff => "the reply was cut off by its length limit; answer more briefly",
            Self::Empty => "the reply was empty",
            Self::Misfit(why) => why,
        })
    }
}

/// The value that a reply stands for.
///
/// # Errors
///
/// [`Unfit`] when there is none.
pub fn judge(reply: &ChatReply, check: &OutputCheck) -> Result<Value, Unfit> {
    match reply.finish {
        FinishReason::ContentFilter => Err(Unfit::Withheld),
        FinishReason::Length => Err(Unfit::CutOff),
        _ if reply.text.trim().is_empty() => Err(Unfit::Empty),
        _ => check(&reply.text).map_err(Unfit::Misfit),
    }
}

/// What a model is told of a reply that cannot be used: the reply, unless it is blank, and what is wrong.
#[must_use]
pub fn objection(reply: Option<&str>, why: &dyn fmt::Display) -> Vec<Message> {
    let shown = reply.filter(|reply| !reply.trim().is_empty()).map(Message::assistant);
    let told = Message::user(format!("That reply cannot be used: {why}. Answer again."));
    shown.into_iter().chain([told]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(schema: Value) -> OutputSchema {
        OutputSchema { name: "s".into(), schema }
    }

    #[test]
    fn what_is_no_object_is_put_into_one_and_its_references_follow() {
        let object = json!({ "type": "object", "properties": {} });
        assert_eq!(*schema(object.clone()).object(), object);
        let list = schema(json!({
            "$defs": { "a": { "items": { "$ref": "#" } } },
            "anyOf": [{ "$ref": "#/$defs/a" }, { "type": "null" }],
        }));
        let inner = json!({
            "$defs": { "a": { "items": { "$ref": "#/properties/value" } } },
            "anyOf": [{ "$ref": "#/properties/value/$defs/a" }, { "type": "null" }],
        });
        let expect =
            json!({ "type": "object", "properties": { "value": inner }, "required": ["value"] });
        assert_eq!(*list.object(), expect);
        // An enum of objects says that it is an object, and providers refuse it all the same.
        assert!(!schema(json!({ "type": "object", "oneOf": [] })).is_object());
    }

    #[track_caller]
    fn check_judged(finish: FinishReason, text: &str, expect: Result<i32, Unfit>) {
        let check: OutputCheck = Arc::new(|text| match text {
            "7" => Ok(Value::from(7)),
            _ => Err("no seven".to_owned()),
        });
        let reply = ChatReply { finish, ..ChatReply::text(text) };
        assert_eq!(judge(&reply, &check), expect.map(Value::from), "{finish:?} {text:?}");
    }

    #[test]
    fn replies_are_judged_by_how_they_ended_before_what_they_say() {
        check_judged(FinishReason::Stop, "7", Ok(7));
        check_judged(FinishReason::Stop, "8", Err(Unfit::Misfit("no seven".into())));
        check_judged(FinishReason::Stop, " \n", Err(Unfit::Empty));
        check_judged(FinishReason::Length, "7", Err(Unfit::CutOff));
        check_judged(FinishReason::Length, "", Err(Unfit::CutOff));
        check_judged(FinishReason::ContentFilter, "7", Err(Unfit::Withheld));
        check_judged(FinishReason::ContentFilter, "", Err(Unfit::Withheld));
    }

    #[test]
    fn what_more_tries_rarely_mend_is_tried_once_more() {
        let misfit = Unfit::Misfit("x".into());
        for last in [None, Some(&Unfit::Empty), Some(&Unfit::CutOff), Some(&misfit)] {
            assert!(!Unfit::Withheld.may_be_repaired(last));
            assert_eq!(Unfit::Empty.may_be_repaired(last), last != Some(&Unfit::Empty));
            assert_eq!(Unfit::CutOff.may_be_repaired(last), last != Some(&Unfit::CutOff));
            assert!(misfit.may_be_repaired(last));
        }
    }
}
