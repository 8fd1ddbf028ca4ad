//! The command line. Its types end here: verbs turn them into the libraries' options at once.

pub(crate) mod manual;
mod mistake;
mod read;
#[cfg(target_os = "linux")]
mod record;
mod select;
mod top;
#[cfg(target_os = "linux")]
mod when;
mod write;

use clap::{Parser, Subcommand};

pub(crate) use mistake::{Mistake, parse};
pub(crate) use read::{
    AnalyzeArgs, BudgetArgs, ColorArg, DiffArgs, InfoArgs, LogFormat, PercentileArg, ReplayArgs,
    ReportFormat, TextFormat, TimeArg, VerifyArgs,
};
#[cfg(target_os = "linux")]
pub(crate) use record::{AttachArg, DoctorArgs, ListArgs, RecordArgs, names_and_files};
pub(crate) use select::{FilterArgs, StageArgs};
pub(crate) use top::{LookArgs, TopArgs};
#[cfg(target_os = "linux")]
pub(crate) use when::When;
pub(crate) use write::{
    CutArgs, DatasetArgs, ExportArgs, ExportFormat, ImportArgs, MergeArgs, OpenArgs, RedactArgs, RepairArgs,
    ReportArgs, TableArg, TargetArgs,
};

/// Record USDT probes of a multi-process pipeline with eBPF; replay, analyze and export the trace offline.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

const EXIT_CODES: &str = "Exit codes: 0 done; 1 failed; 2 usage; 3 done, but data was lost, skipped or damaged (it is said how much).";

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Record probes of running processes into a trace file
    ///
    /// Programs that start meanwhile are held inside of exec until their probes are attached, for one second at the most,
    /// whatever the recorder does; this needs CAP_SYS_ADMIN.
    #[cfg(target_os = "linux")]
    Record(Box<RecordArgs>),
    /// List the USDT probes of running processes or of a file
    #[cfg(target_os = "linux")]
    List(ListArgs),
    /// Print a trace as the documented log
    Replay(ReplayArgs),
    /// Stage latencies, hand-offs, anomalies and loss
    Analyze(AnalyzeArgs),
    /// Compare two traces stage by stage; fails if a stage got slower
    Diff(DiffArgs),
    /// Say what a trace holds, and what is missing
    Info(InfoArgs),
    /// Check every byte of a trace
    Verify(VerifyArgs),
    /// Write a trace for Perfetto, or as Chrome JSON, Parquet, Arrow or CSV
    Export(ExportArgs),
    /// Write what a trace says as one page for the browser, which loads nothing
    Report(ReportArgs),
    /// Show stages live: of running processes, of a command, or of a trace
    Top(Box<TopArgs>),
    /// Show a trace in the Perfetto UI, in the browser
    Open(OpenArgs),
    /// Write a part of a trace to a new one
    Cut(CutArgs),
    /// Join traces, of several hosts by their clock anchors
    Merge(MergeArgs),
    /// Write a new, complete trace from what is readable of a damaged or incomplete one
    Repair(RepairArgs),
    /// Write a trace without hosts, users, paths, command lines and strings, to hand it to others
    Redact(RedactArgs),
    /// Turn a documented log into a trace
    Import(ImportArgs),
    /// Can this machine record? Checks it, and tries recording on probes of its own
    #[cfg(target_os = "linux")]
    Doctor(DoctorArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or that of a verb
    Man {
        /// The verb
        verb: Option<String>,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
