//! Records USDT probes of a multi-process pipeline, replays and analyzes them: parse, call a library, render, exit code.

// Either macro panics when its output is closed.
#![warn(clippy::print_stderr, clippy::print_stdout)]
#![cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "recording uses it"))]

#[cfg(not(unix))]
compile_error!("tracer reads traces on Linux, macOS and other Unix systems; tracer-analyzer builds anywhere");

#[macro_use]
mod say;

mod cli;
mod dataset;
mod done;
mod file;
#[cfg(target_os = "linux")]
mod recording;
mod terminal;
mod top;
mod verb;

use std::process::ExitCode;

use cli::Verb;
use done::Done;

fn main() -> ExitCode {
    // Beyond the limit of `ulimit -f`, a write fails then, as on a full disk; otherwise it would end this process.
    // SAFETY: the action does nothing.
    let _ = unsafe { signal_hook::low_level::register(signal_hook::consts::SIGXFSZ, || {}) };
    let cli = match cli::parse(&std::env::args_os().collect::<Vec<_>>()) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    match run(cli.verb) {
        Ok(Done::All) => ExitCode::SUCCESS,
        Ok(Done::Lossy) => ExitCode::from(3),
        Ok(Done::Failed) => ExitCode::FAILURE,
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
        Verb::Record(args) => verb::record::record(args),
        #[cfg(target_os = "linux")]
        Verb::List(args) => verb::list::list(&args),
        Verb::Replay(args) => verb::replay::replay(&args),
        Verb::Analyze(args) => verb::analyze::analyze(&args),
        Verb::Diff(args) => verb::diff::diff(&args),
        Verb::Info(args) => verb::info::info(&args),
        Verb::Verify(args) => verb::info::verify(&args),
        Verb::Export(args) => verb::export::export(&args),
        Verb::Report(args) => verb::report::report(&args),
        Verb::Top(args) => verb::top::top(*args),
        Verb::Open(args) => verb::open::open(&args),
        Verb::Cut(args) => verb::rewrite::cut(&args),
        Verb::Merge(args) => verb::rewrite::merge(&args),
        Verb::Repair(args) => verb::rewrite::repair(&args),
        Verb::Redact(args) => verb::rewrite::redact(&args),
        Verb::Import(args) => verb::rewrite::import(&args),
        #[cfg(target_os = "linux")]
        Verb::Doctor(args) => verb::doctor::doctor(&args),
        Verb::Completions { shell } => cli::manual::completions(shell),
        Verb::Man { verb } => cli::manual::man(verb.as_deref()),
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
    matches!(error.downcast_ref(), Some(tracer_analyzer::Error::Usage(_))) || error.is::<cli::Mistake>()
}
