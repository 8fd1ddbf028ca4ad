//! Completions and the manual page, from the definitions of the command line.

use std::io::{self, Write};

use clap::CommandFactory;

use crate::cli::Cli;
use crate::done::Done;

pub(crate) fn completions(shell: clap_complete::Shell) -> anyhow::Result<Done> {
    // It panics where writing fails.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tracer", &mut script);
    io::stdout().write_all(&script)?;
    Ok(Done::All)
}

pub(crate) fn man() -> anyhow::Result<Done> {
    clap_mangen::Man::new(Cli::command()).render(&mut io::stdout())?;
    Ok(Done::All)
}
