//! `greenroom config`: what is in force, and where each value came from.

use std::collections::BTreeSet;

use greenroom_core::budget::Price;
use greenroom_models::http::{KeyNeed, ModelName, VENDORS, Vendor, listed_price};

use super::variables::DOT_ENV;
use super::{Config, DURABILITIES, Role, Setting};
use crate::args::ModelArgs;
use crate::console::{Console, Ink, printable};
use crate::exit::{Exit, Failure};

/// Prints the configuration. Keys are never printed.
pub(crate) fn show(args: &ModelArgs, console: &Console) -> Result<Exit, Failure> {
    let config = Config::load(args)?;
    let mut text = String::new();
    for (name, value, origin) in lines(&config) {
        let origin = console.on_stdout.paint(Ink::Dim, format!("({origin})"));
        text.push_str(&format!("{name:<18} {}  {origin}\n", printable(&value)));
    }
    console.out(&text)?;
    Ok(Exit::Ok)
}

/// A line for each value: its name, the value, and where it came from.
fn lines(config: &Config) -> Vec<(String, String, String)> {
    let mut lines = Vec::new();
    let (mut asked, mut models) = (BTreeSet::new(), BTreeSet::new());
    let roles = Role::ALL.map(|role| (role.name(), config.model(role)));
    for (name, model) in roles.into_iter().chain([("embedder", config.embedder_name())]) {
        let parsed = model.value.parse::<ModelName>().ok();
        asked.extend(parsed.and_then(|name| name.vendor()).map(|vendor| vendor.name));
        lines.push((name.to_owned(), shown_name(&model.value), model.origin.to_string()));
        models.insert(model.value);
    }
    for model in models {
        lines.extend(price(config, &model));
    }
    let tries = config.file.tries.as_ref();
    lines.extend(
        tries.map(|tries| ("tries".to_owned(), tries.value.to_string(), tries.origin.to_string())),
    );
    let Setting { value, origin } = config.durability();
    let name = DURABILITIES.into_iter().find(|(_, known)| *known == value).map(|(name, _)| name);
    lines.push(("durability".into(), name.unwrap_or_default().to_owned(), origin.to_string()));
    lines.extend(config.file.approve.as_ref().map(|Setting { value, origin }| {
        ("to be approved".to_owned(), value.join(", "), origin.to_string())
    }));
    let is_told = |vendor: &&Vendor| asked.contains(vendor.name) || config.key(vendor).is_some();
    for vendor in VENDORS.iter().filter(is_told) {
        let url = config.base_url(vendor);
        lines.push((vendor.name.to_owned(), shown(&url.value), url.origin.to_string()));
        let (key, origin) = match (config.key(vendor), vendor.key) {
            (Some(origin), _) => ("set", format!("from {origin}")),
            (None, KeyNeed::Required) => ("missing", format!("set {}", vendor.key_variable)),
            (None, _) => ("none", format!("{} when it wants one", vendor.key_variable)),
        };
        lines.push((format!("{} key", vendor.name), key.to_owned(), origin));
    }
    for (vendor, provider) in &config.file.providers {
        let rates =
            [("requests", &provider.requests_per_minute), ("tokens", &provider.tokens_per_minute)];
        for (what, rate) in rates {
            lines.extend(rate.as_ref().map(|rate| {
                let value = format!("{} a minute", rate.value);
                (format!("{} {what}", vendor.name), value, rate.origin.to_string())
            }));
        }
    }
    let path =
        config.file.path.as_ref().map_or("none".to_owned(), |path| path.display().to_string());
    lines.push(("file".to_owned(), path, "--config names another one".to_owned()));
    let dot_env = if config.variables.has_dot_env() { "read" } else { "none" };
    lines.push((DOT_ENV.to_owned(), dot_env.to_owned(), "in this directory".to_owned()));
    lines
}

/// The price of a model of a provider.
fn price(config: &Config, model: &str) -> Option<(String, String, String)> {
    let name: ModelName = model.parse().ok()?;
    let of_file = config.file.prices.get(&name.to_string());
    let of_file = of_file.map(|price| (price.value, price.origin.to_string()));
    let listed = || {
        let listed = listed_price(name.vendor()?, name.model())?;
        Some((listed.price, format!("{}, read on {}", listed.source, listed.read_on)))
    };
    let (value, origin) = match of_file.or_else(listed) {
        Some((price, origin)) => {
            let Price { input, output, .. } = price;
            (format!("{input} sent, {output} received, for a million tokens"), origin)
        }
        None => ("unknown".to_owned(), "[prices] of the file can say it".to_owned()),
    };
    Some((format!("{} price", shown_name(model)), value, origin))
}

/// An address, unless it has what may be a password or a key.
fn shown(url: &str) -> String {
    if url.contains(['@', '?', '#']) { "[redacted]".to_owned() } else { url.to_owned() }
}

/// The name of a model, without a key that somebody wrote into its address.
fn shown_name(name: &str) -> String {
    match name.split_once('#') {
        Some((url, model)) if name.contains("://") => format!("{}#{model}", shown(url)),
        _ if name.contains("://") => shown(name),
        _ => name.to_owned(),
    }
}
