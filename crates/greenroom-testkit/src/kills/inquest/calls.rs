//! Calls: which were made again, and which nobody had announced.

use std::collections::{BTreeMap, BTreeSet};

use greenroom_core::tool::EffectClass;

use crate::kills::invariant::{Invariant, Violation};
use crate::kills::stored::{Intent, Stored, place};
use crate::kills::witness::{Note, Noted};

/// I2: a call whose result was stored when a process began is not made in it. I3: an at-most-once call is
/// not made a second time at all.
pub(super) fn repeated(notes: &[Noted], violations: &mut Vec<Violation>) {
    let mut known = BTreeMap::new();
    let mut made = BTreeSet::new();
    for Noted { life, note, .. } in notes {
        let named = match note {
            Note::Born { completed } => {
                known.insert(*life, completed);
                continue;
            }
            Note::Called { key, .. } => format!("tool {}", place(key)),
            Note::Asked { key, .. } => format!("model {key}"),
            _ => continue,
        };
        if known.get(life).is_some_and(|completed| completed.contains(&named)) {
            let what = format!("{named} was made in life {life}, which knew its result");
            violations.push(Violation::new(Invariant::I2, what));
        }
        if let Note::Called { tool, key, effect: EffectClass::AtMostOnce } = note
            && !made.insert(place(key))
        {
            let what = format!("{tool} was called again in life {life}, as {key}");
            violations.push(Violation::new(Invariant::I3, what));
        }
    }
}

/// I9: the intent of every call is stored, and with it the one key of the call. I3: so is its class.
pub(super) fn unannounced(notes: &[Noted], stored: &Stored, violations: &mut Vec<Violation>) {
    let intents = stored.intents();
    let mut keys = BTreeMap::new();
    for Noted { note, .. } in notes {
        let Note::Called { tool, key, effect } = note else { continue };
        let mut found = |invariant, what| violations.push(Violation::new(invariant, what));
        let first = *keys.entry(place(key)).or_insert(key);
        if first != key {
            found(Invariant::I9, format!("one call of {tool} has the keys {first} and {key}"));
        }
        match intents.get(place(key)) {
            None => found(Invariant::I9, format!("{tool} was called as {key}, without an intent")),
            Some(Intent::Agent { key: intended, .. }) if intended != key => {
                found(Invariant::I9, format!("{tool} was called as {key} instead of {intended}"));
            }
            Some(Intent::Agent { effect: intended, .. }) if intended != effect => {
                let what = format!("{tool} is {effect:?}, and {key} was stored as {intended:?}");
                found(Invariant::I3, what);
            }
            Some(_) => {}
        }
    }
}
