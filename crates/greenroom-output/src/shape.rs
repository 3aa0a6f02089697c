//! The schema of a type, and the check that a text is a value of it.

use std::sync::Arc;

use greenroom_core::output::{OutputCheck, OutputSchema};
use greenroom_core::tool::schema_of;
use jsonschema::Validator;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::find::value_in;

/// Faults of one text that the model is told of.
const FAULTS_MAX: usize = 5;
/// Letters of one fault: a fault repeats what the model wrote, which may be long.
const FAULT_LEN_MAX: usize = 300;

/// The shape of a type: what a model is told, and how its text is judged.
///
/// # Panics
///
/// When the schema of the type is none, which only one that is written by hand can be.
#[must_use]
pub fn shape<T: DeserializeOwned + JsonSchema>() -> (Arc<OutputSchema>, OutputCheck) {
    let schema = OutputSchema { name: T::schema_name().into_owned(), schema: schema_of::<T>() };
    let validator = match Validator::new(&schema.schema) {
        Ok(validator) => validator,
        Err(error) => panic!("the schema of {} is invalid: {error}", schema.name),
    };
    let is_object = schema.is_object();
    let check: OutputCheck = Arc::new(move |text| {
        let value = value_in(text).map_err(|error| format!("it is no JSON: {error}"))?;
        let value = if is_object { value } else { unwrapped(value, &validator) };
        fits(&value, &validator)?;
        serde_json::from_value::<T>(value.clone()).map_err(|error| error.to_string())?;
        Ok(value)
    });
    (Arc::new(schema), check)
}

/// The value itself, where a provider takes objects only and it was put into a field of one. An object that
/// fits as it is stays.
fn unwrapped(value: Value, validator: &Validator) -> Value {
    match value {
        Value::Object(mut fields)
            if fields.len() == 1 && fields.contains_key(OutputSchema::FIELD) =>
        {
            let whole = Value::Object(fields.clone());
            if validator.is_valid(&whole) {
                return whole;
            }
            fields.remove(OutputSchema::FIELD).unwrap_or_default()
        }
        value => value,
    }
}

/// Says what is wrong with a value, each fault with its place.
fn fits(value: &Value, validator: &Validator) -> Result<(), String> {
    let mut errors = validator.iter_errors(value);
    let faults = errors.by_ref().take(FAULTS_MAX).map(|error| {
        let place = error.instance_path().to_string();
        let fault: String = error.to_string().chars().take(FAULT_LEN_MAX).collect();
        if place.is_empty() { fault } else { format!("at {place}: {fault}") }
    });
    let faults: Vec<_> = faults.collect();
    match (faults.is_empty(), errors.count()) {
        (true, _) => Ok(()),
        (false, 0) => Err(faults.join("; ")),
        (false, n_more) => Err(format!("{}; and {n_more} more", faults.join("; "))),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its schema and its reading are tested")]
    struct Trip {
        to: String,
        #[schemars(range(min = 1, max = 30))]
        days: u8,
        note: Option<String>,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(untagged)]
    #[expect(dead_code, reason = "only its schema and its reading are tested")]
    enum Either {
        Number(i64),
        Holder { value: String },
    }

    #[track_caller]
    fn check<T: DeserializeOwned + JsonSchema>(text: &str, expect: Result<Value, &str>) {
        let (_, check) = shape::<T>();
        match (check(text), expect) {
            (Ok(value), Ok(expect)) => assert_eq!(value, expect, "{text}"),
            (Err(why), Err(says)) => assert!(why.contains(says), "{text}: {why}"),
            (judged, expect) => panic!("{text}: {judged:?} and not {expect:?}"),
        }
    }

    #[test]
    fn a_text_is_validated_and_then_read() {
        check::<Trip>(r#"{"to":"Oslo","days":3}"#, Ok(json!({ "to": "Oslo", "days": 3 })));
        check::<Trip>("x", Err("it is no JSON"));
        check::<Trip>(r#"{"to":"Oslo"}"#, Err("\"days\" is a required property"));
        // Reading alone would take this one.
        check::<Trip>(r#"{"to":"Oslo","days":31}"#, Err("at /days: 31 is greater than"));
        // Every fault is told.
        check::<Trip>(r#"{"to":1,"days":0}"#, Err("at /days: 0 is less than"));
        check::<Trip>(r#"{"to":1,"days":0}"#, Err("at /to: 1 is not of type"));
    }

    #[test]
    fn a_value_is_taken_out_of_the_object_that_a_provider_wants() {
        check::<i64>("42", Ok(json!(42)));
        check::<i64>(r#"{"value":42}"#, Ok(json!(42)));
        check::<i64>(r#"{"value":42,"unit":"m"}"#, Err("is not of type"));
        check::<Vec<u8>>("```json\n{\"value\": [1]}\n```", Ok(json!([1])));
        // An object that fits as it is stays.
        check::<Either>(r#"{"value":"a"}"#, Ok(json!({ "value": "a" })));
        check::<Either>(r#"{"value":7}"#, Ok(json!(7)));
    }

    #[test]
    fn faults_are_short_and_few() {
        let long = "x".repeat(10_000);
        let (_, check) = shape::<Vec<u8>>();
        let why = check(&json!([long, long, long, long, long, long, long]).to_string());
        let why = why.expect_err("texts are no numbers");
        assert!(why.len() < 2_000 && why.ends_with("; and 2 more"), "{}", why.len());
    }

    struct Broken;

    impl<'de> Deserialize<'de> for Broken {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Ok(Self)
        }
    }

    impl JsonSchema for Broken {
        fn schema_name() -> std::borrow::Cow<'static, str> {
            "Broken".into()
        }

        fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
            schemars::json_schema!({ "$ref": "file:///etc/passwd" })
        }
    }

    #[test]
    #[should_panic(expected = "the schema of Broken is invalid")]
    fn a_schema_that_leads_outside_is_refused() {
        let _ = shape::<Broken>();
    }
}
