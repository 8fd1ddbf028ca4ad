//! Completions and the manual page, from the definitions of the command line.

use std::io::{self, Write};

use clap::CommandFactory;

use tracer_format::grammar::nearest;
use tracer_format::log::escape;

use super::{Cli, Mistake};
use crate::done::Done;

pub(crate) fn completions(shell: clap_complete::Shell) -> anyhow::Result<Done> {
    // It panics where writing fails.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tracer", &mut script);
    io::stdout().write_all(&script)?;
    Ok(Done::All)
}

/// The page of the tool, or of a verb.
pub(crate) fn man(verb: Option<&str>) -> anyhow::Result<Done> {
    let mut tool = Cli::command();
    // Verbs are called by their full names then, as in "tracer record".
    tool.build();
    let page = match verb {
        None => &tool,
        Some(verb) => tool.find_subcommand(verb).ok_or_else(|| {
            let near = nearest(verb, tool.get_subcommands().map(clap::Command::get_name));
            Mistake(format!("there is no verb {}{near}", escape(verb)))
        })?,
    };
    let mut text = Vec::new();
    let source = concat!("tracer ", env!("CARGO_PKG_VERSION"));
    clap_mangen::Man::new(page.clone()).source(source).render(&mut text)?;
    io::stdout().write_all(&text)?;
    Ok(Done::All)
}
