//! Records USDT probes of a multi-process pipeline, replays and analyzes them: parse, call a library, render, exit code.

// Either macro panics when nobody reads what it writes.
#![warn(clippy::print_stderr, clippy::print_stdout)]

#[macro_use]
mod say;

mod cli;
mod diff;
#[cfg(target_os = "linux")]
mod doctor;
mod export;
mod follow;
mod input;
#[cfg(target_os = "linux")]
mod list;
mod open;
mod output;
#[cfg(target_os = "linux")]
mod quantity;
mod read;
#[cfg(target_os = "linux")]
mod record;
mod rewrite;
#[cfg(target_os = "linux")]
mod when;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Verb};

/// How a verb that did not fail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    /// Everything asked for was done.
    All,
    /// Done, but data was lost, skipped or damaged; it was said how much.
    Lossy,
    /// The command that was recorded ended with this code.
    Command(u8),
}

impl Done {
    /// The worse of two ends.
    fn and(self, other: Self) -> Self {
        if self == Self::All { other } else { self }
    }
}

fn main() -> ExitCode {
    match run(Cli::parse().verb) {
        Ok(Done::All) => ExitCode::SUCCESS,
        Ok(Done::Lossy) => ExitCode::from(3),
        Ok(Done::Command(code)) => ExitCode::from(code),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            say!("{error:#}");
            ExitCode::from(if is_usage(&error) { 2 } else { 1 })
        }
    }
}

fn run(verb: Verb) -> anyhow::Result<Done> {
    match verb {
        #[cfg(target_os = "linux")]
        Verb::Record(args) => record::record(args),
        #[cfg(target_os = "linux")]
        Verb::List(args) => list::list(&args),
        Verb::Replay(args) => read::replay(&args),
        Verb::Analyze(args) => read::analyze(&args),
        Verb::Diff(args) => diff::diff(&args),
        Verb::Info(args) => read::info(&args),
        Verb::Verify(args) => read::verify(&args),
        Verb::Export(args) => export::export(&args),
        Verb::Open(args) => open::open(&args),
        Verb::Cut(args) => rewrite::cut(&args),
        Verb::Merge(args) => rewrite::merge(&args),
        Verb::Repair(args) => rewrite::repair(&args),
        Verb::Import(args) => rewrite::import(&args),
        #[cfg(target_os = "linux")]
        Verb::Doctor(args) => doctor::doctor(&args),
        Verb::Completions { shell } => cli::completions(shell),
        Verb::Man => cli::man(),
    }
}

/// Whether the reader of our output went away, which is no failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = |cause: &(dyn std::error::Error + 'static)| {
        let error = match cause.downcast_ref() {
            // It shows itself as its cause, which a chain of causes then leaves out.
            Some(tracer_format::Error::Io(error)) => Some(error),
            _ => cause.downcast_ref::<std::io::Error>(),
        };
        error.map(std::io::Error::kind) == Some(std::io::ErrorKind::BrokenPipe)
    };
    let analyzer = error.downcast_ref::<tracer_analyzer::Error>();
    analyzer.is_some_and(tracer_analyzer::Error::is_broken_pipe) || error.chain().any(io)
}

/// Whether the command line is at fault.
fn is_usage(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(tracer_analyzer::Error::Usage { .. })) || error.is::<cli::Usage>()
}
