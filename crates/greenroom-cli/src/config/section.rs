//! A table of a TOML file that is being read: whatever nobody asks for is a mistake, and is told with its line.

use std::path::Path;

use greenroom_core::budget::Usd;
use greenroom_models::http::nearest;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Origin, Setting, mistake};
use crate::exit::Problem;

/// The text that a table is from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
}

impl Source<'_> {
    /// The line of a place in the text, counted from 1.
    fn line(&self, at: usize) -> usize {
        1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count()
    }

    pub(super) fn origin(&self, at: usize) -> Origin {
        Origin::File(self.path.display().to_string(), self.line(at))
    }
}

/// A table, and the keys that somebody asked for.
pub(super) struct Section<'a> {
    source: Source<'a>,
    /// `roles.planner`; empty for the file itself.
    pub(super) name: String,
    /// Where it begins.
    pub(super) origin: Origin,
    table: &'a DeTable<'a>,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    pub(super) fn new(source: Source<'a>, table: &'a DeTable<'a>) -> Self {
        Self { source, name: String::new(), origin: source.origin(0), table, known: Vec::new() }
    }

    fn find(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.push(key);
        self.table.get(key)
    }

    /// A value that has the form that is wanted, in words.
    fn value<T>(
        &mut self,
        key: &'static str,
        wanted: &str,
        read: impl FnOnce(&DeValue<'a>) -> Option<T>,
    ) -> Result<Option<Setting<T>>, Problem> {
        let Some(found) = self.find(key) else { return Ok(None) };
        let origin = self.source.origin(found.span().start);
        match read(found.get_ref()) {
            Some(value) => Ok(Some(Setting { value, origin })),
            // The value is not shown: somebody may have put a key there.
            None => {
                Err(mistake("GR0414", format!("{origin}: `{}` is to be {wanted}", self.path(key))))
            }
        }
    }

    /// Text that is not blank.
    pub(super) fn text(&mut self, key: &'static str) -> Result<Option<Setting<String>>, Problem> {
        self.value(key, "text in quotes, and not empty", |value| {
            value.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
        })
    }

    /// Text as it stands, blanks at its ends included.
    pub(super) fn words(&mut self, key: &'static str) -> Result<Option<Setting<String>>, Problem> {
        self.value(key, "text in quotes", |value| value.as_str().map(str::to_owned))
    }

    /// Yes or no.
    pub(super) fn flag(&mut self, key: &'static str) -> Result<Option<Setting<bool>>, Problem> {
        self.value(key, "true or false", |value| value.as_bool())
    }

    /// One of some words.
    pub(super) fn choice<T: Copy, const N: usize>(
        &mut self,
        key: &'static str,
        known: [(&str, T); N],
    ) -> Result<Option<Setting<T>>, Problem> {
        let names = known.map(|(name, _)| name).join(", ");
        self.value(key, &format!("one of {names}, in quotes"), |value| {
            let word = value.as_str()?;
            known.into_iter().find(|(name, _)| *name == word).map(|(_, value)| value)
        })
    }

    /// A list of some words.
    pub(super) fn choices(
        &mut self,
        key: &'static str,
        known: &[&str],
    ) -> Result<Option<Setting<Vec<String>>>, Problem> {
        let word = |value: &Spanned<DeValue<'_>>| {
            let word = value.get_ref().as_str().filter(|word| known.contains(word));
            word.map(str::to_owned)
        };
        self.value(
            key,
            &format!("a list of some of {}, each in quotes", known.join(", ")),
            |value| value.as_array()?.iter().map(word).collect(),
        )
    }

    /// A whole number from 1.
    pub(super) fn count(&mut self, key: &'static str) -> Result<Option<Setting<u64>>, Problem> {
        self.value(key, "a whole number from 1", |value| {
            let number = value.as_integer()?;
            u64::from_str_radix(number.as_str(), number.radix()).ok().filter(|count| *count > 0)
        })
    }

    /// An amount of dollars.
    pub(super) fn dollars(&mut self, key: &'static str) -> Result<Option<Setting<Usd>>, Problem> {
        self.value(key, "an amount of dollars, such as 2 or 0.50", |value| {
            let text = match value {
                DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
                DeValue::Float(number) => number.as_str(),
                _ => return None,
            };
            Usd::parse(text).ok()
        })
    }

    /// A value that must be there.
    pub(super) fn needed<T>(
        &self,
        key: &str,
        found: Option<Setting<T>>,
    ) -> Result<Setting<T>, Problem> {
        found.ok_or_else(|| {
            mistake("GR0414", format!("{}: `{}` is missing", self.origin, self.path(key)))
        })
    }

    /// Tables with names of their own, each to be read and ended by `read`.
    pub(super) fn each(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&str, Section<'a>) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        self.table(key, |section| {
            section.table.iter().try_for_each(|(name, found)| {
                let path = section.path(name.get_ref());
                read(name.get_ref(), section.below(path, name.span().start, found)?)
            })
        })
    }

    /// A table of its own, to be read and ended by `read`.
    pub(super) fn table(
        &mut self,
        key: &'static str,
        read: impl FnOnce(Section<'a>) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        let Some(found) = self.find(key) else { return Ok(()) };
        read(self.below(self.path(key), found.span().start, found)?)
    }

    fn below(
        &self,
        name: String,
        at: usize,
        found: &'a Spanned<DeValue<'a>>,
    ) -> Result<Section<'a>, Problem> {
        let origin = self.source.origin(at);
        let Some(table) = found.get_ref().as_table() else {
            let message = format!("{origin}: `{name}` is to be a table, [{name}]");
            return Err(mistake("GR0414", message));
        };
        Ok(Section { source: self.source, name, origin, table, known: Vec::new() })
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    /// Nothing is left that nobody asked for.
    pub(super) fn end(self) -> Result<(), Problem> {
        let unknown = self.table.keys().find(|key| !self.known.contains(&key.get_ref().as_ref()));
        let Some(unknown) = unknown else { return Ok(()) };
        let origin = self.source.origin(unknown.span().start);
        let written = unknown.get_ref().as_ref();
        let near = nearest(written, self.known.iter().copied());
        let hint = near.map(|key| format!("; did you mean `{key}`?")).unwrap_or_default();
        let place =
            if self.name.is_empty() { "here".to_owned() } else { format!("in [{}]", self.name) };
        let known = self.known.join(", ");
        let help = match written.to_ascii_lowercase() {
            secret
                if near.is_none()
                    && ["key", "token", "secret"].iter().any(|word| secret.contains(word)) =>
            {
                "keys of providers come from the environment or from .env, never from this file"
                    .to_owned()
            }
            _ => format!("there are {known}"),
        };
        let message = format!("{origin}: there is no `{written}` {place}{hint}");
        Err(mistake("GR0413", message).help(help))
    }
}
