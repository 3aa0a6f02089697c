//! What is kept of runs, and what is asked of people, on the command line.

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{ArgAction, Args as ClapArgs};
use greenroom_journal::Durability;

use crate::config::{DURABILITIES, TOOLS, durability};

/// What the command line says of runs. What it leaves open, the configuration says.
#[derive(Debug, Clone, Default, ClapArgs)]
pub(crate) struct KeepArgs {
    /// A tool whose calls wait for a person, besides those of the configuration; may be given more than once
    #[arg(long, value_name = "TOOL", action = ArgAction::Append, value_parser = PossibleValuesParser::new(TOOLS))]
    pub(crate) approve: Vec<String>,
    /// What is kept of a run, and survives what; by default everything survives everything
    #[arg(long, value_name = "MODE", value_parser = mode())]
    pub(crate) durability: Option<Durability>,
}

fn mode() -> impl clap::builder::TypedValueParser<Value = Durability> {
    let known = PossibleValuesParser::new(DURABILITIES.map(|(name, _)| name));
    known.map(|name| durability(&name).expect("the parser admits those alone"))
}
