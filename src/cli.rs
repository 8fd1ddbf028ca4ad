//! The command line. Its types end here: verbs turn them into the libraries' options at once.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::Done;
#[cfg(target_os = "linux")]
use crate::quantity::{Rotate, Size, Time};
#[cfg(target_os = "linux")]
use crate::when::When;

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
    /// Show a trace in the Perfetto UI, in the browser
    Open(OpenArgs),
    /// Write a part of a trace to a new one
    Cut(CutArgs),
    /// Join traces, of several hosts by their clock anchors
    Merge(MergeArgs),
    /// Write a new, complete trace from what is readable of a damaged or incomplete one
    Repair(RepairArgs),
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
    /// Print the manual page
    Man,
}

#[cfg(target_os = "linux")]
#[derive(Debug, Args)]
pub(crate) struct RecordArgs {
    /// Trace file to write; - for standard output, FILE.parquet for a Parquet table
    #[arg(short, long, value_name = "FILE", default_value = "run.trace")]
    pub(crate) output: PathBuf,
    /// Overwrite an existing file
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Probes to record, globs allowed; string arguments as in 'python:function__entry(str,str)'
    #[arg(short = 'e', long = "event", value_name = "PROVIDER:PROBE", default_value = "buffer_tracker:*")]
    pub(crate) events: Vec<String>,
    /// Record this process only (may be given more than once)
    #[arg(short, long = "pid", value_name = "PID")]
    pub(crate) pids: Vec<u32>,
    /// Record processes of this program only, globs allowed (may be given more than once)
    #[arg(short = 'x', long = "program", value_name = "PROGRAM")]
    pub(crate) programs: Vec<String>,
    /// The argument that is a probe's sequence number, if it is not the first
    #[arg(long = "key", value_name = "PROVIDER:PROBE=argN")]
    pub(crate) keys: Vec<String>,
    /// End after this time, such as 10s or 500ms
    #[arg(short, long, value_name = "TIME")]
    pub(crate) duration: Option<Time>,
    /// Print the log to standard output while recording
    #[arg(long)]
    pub(crate) print: bool,
    /// How to attach: auto, multi (Linux 6.6 and newer) or perf
    #[arg(long, value_name = "MODE", default_value = "auto")]
    pub(crate) attach: AttachArg,
    /// Size of the ring buffer of each processor, a power of two [default: 4M, less with more than 64 processors]
    #[arg(long, value_name = "SIZE")]
    pub(crate) ring_size: Option<Size>,
    /// An event is in the file at most this long after it fired
    #[arg(long, value_name = "TIME", default_value = "200ms")]
    pub(crate) flush: Time,
    /// Have every flush reach the disk, against loss of power
    #[arg(long)]
    pub(crate) sync: bool,
    /// End before the file has more than this size
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_size: Option<Size>,
    /// End after this many events
    #[arg(long, value_name = "N")]
    pub(crate) max_events: Option<u64>,
    /// Begin a new file (run.1.trace, run.2.trace, ...) when one has this size or has been written for this time
    #[arg(long, value_name = "SIZE|TIME")]
    pub(crate) rotate: Option<Rotate>,
    /// With --rotate: keep this many files, remove older ones
    #[arg(long, value_name = "N", requires = "rotate", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) keep: Option<u32>,
    /// Flight recorder: keep this much time in memory; write it on SIGUSR1, at the end and when --when says so
    #[arg(long, value_name = "TIME", conflicts_with_all = ["rotate", "max_size", "max_events"])]
    pub(crate) last: Option<Time>,
    /// With --last: end with a snapshot when a buffer takes longer in a stage, as in 'awe > 50ms'
    #[arg(long, value_name = "STAGE > TIME", requires = "last")]
    pub(crate) when: Option<When>,
    #[command(flatten)]
    pub(crate) stages: StageArgs,
    /// With --last: memory for it at the most
    #[arg(long, value_name = "SIZE", requires = "last", default_value = "256M")]
    pub(crate) memory: Size,
    /// Begin even if no running process has a matching probe, and wait for one
    #[arg(long)]
    pub(crate) wait: bool,
    /// Write a byte to this file descriptor when every probe is attached
    #[arg(long, value_name = "N")]
    pub(crate) ready_fd: Option<u32>,
    /// Say nothing but errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// With COMMAND: record every process, not only the command and its children
    #[arg(short, long, requires = "command", conflicts_with = "pids")]
    pub(crate) all: bool,
    /// Run the command as this user (name or number), with the user's groups, HOME, USER, LOGNAME and SHELL
    #[arg(long, value_name = "USER", requires = "command")]
    pub(crate) user: Option<String>,
    /// Command to run and record, with its children; the recording ends with it
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

#[cfg(target_os = "linux")]
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum AttachArg {
    Auto,
    Multi,
    Perf,
}

#[cfg(target_os = "linux")]
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Program or shared library to look into, also a name in PATH, instead of running processes
    pub(crate) file: Option<PathBuf>,
    /// Only these processes
    #[arg(short, long = "pid", value_name = "PID", conflicts_with = "file")]
    pub(crate) pids: Vec<u32>,
    /// Only these programs, globs allowed
    #[arg(short = 'x', long = "program", value_name = "PROGRAM", conflicts_with = "file")]
    pub(crate) programs: Vec<String>,
    /// Only these probes, globs allowed
    #[arg(short = 'e', long = "event", value_name = "PROVIDER:PROBE", default_value = "*:*")]
    pub(crate) events: Vec<String>,
}

#[cfg(target_os = "linux")]
#[derive(Debug, Args)]
#[command(after_help = DOCTOR_HELP)]
pub(crate) struct DoctorArgs {
    /// How to show it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: TextFormat,
    /// Fire the own probe of this form of nop: what it starts itself for
    #[arg(long, value_name = "FORM", hide = true)]
    pub(crate) fire: Option<String>,
}

#[cfg(target_os = "linux")]
const DOCTOR_HELP: &str = "\
    Each check is a line: ok; note, slower or worth knowing; limit, some probes or processes are missed; problem, nothing is \
    recorded. Exit codes: 0 this machine can record; 1 there is a problem; 3 it can record, but there is a limit.";

/// Which events of a trace to look at.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct FilterArgs {
    /// Only these probes, globs allowed
    #[arg(short = 'e', long = "event", value_name = "PROVIDER:PROBE")]
    pub(crate) events: Vec<String>,
    /// Only these processes
    #[arg(short, long = "pid", value_name = "PID")]
    pub(crate) pids: Vec<u32>,
    /// Only these programs, globs allowed
    #[arg(short = 'x', long = "program", value_name = "PROGRAM")]
    pub(crate) programs: Vec<String>,
    /// Only these sequence numbers: N, A..B (both included), A.. or ..B
    #[arg(long, value_name = "A..B", allow_hyphen_values = true)]
    pub(crate) seq: Option<String>,
    /// From this time on: offset from the start (1.5s) or wall time (2026-01-31T12:00:00Z)
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Up to this time: offset from the start or wall time
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Trace to read; - for standard input: what comes out of a pipe is printed as it comes
    pub(crate) file: PathBuf,
    /// Print the events of a trace that is being written, or that does not exist yet, until it is finished
    #[arg(long)]
    pub(crate) follow: bool,
    /// Print each event when it is due: 1 for the time that the recording took, 10 for a tenth of it
    #[arg(long, value_name = "TIMES", conflicts_with = "follow", value_parser = speed)]
    pub(crate) speed: Option<f64>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

#[derive(Debug, Args)]
pub(crate) struct AnalyzeArgs {
    /// Trace to read; - for standard input
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) stages: StageArgs,
    /// Write the stages with the keys that were chosen to this file, which --stages takes
    #[arg(long, value_name = "FILE.toml")]
    pub(crate) stages_out: Option<PathBuf>,
    /// How to show it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: ReportFormat,
}

/// Which stages to look at.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct StageArgs {
    /// A stage, instead of those learned from the probes' names; KEY is a list of seq, argN, str, pid, tid,
    /// ppid; without it the key is chosen from the events
    #[arg(long = "stage", value_name = "NAME = PROVIDER:FROM -> PROVIDER:TO [by KEY]")]
    pub(crate) stages: Vec<String>,
    /// A TOML file with a table "stages" of lines such as NAME = "PROVIDER:FROM -> PROVIDER:TO by KEY"
    #[arg(long = "stages", value_name = "FILE.toml")]
    pub(crate) stages_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum ReportFormat {
    Text,
    Json,
    Markdown,
}

#[derive(Debug, Args)]
#[command(after_help = DIFF_HELP)]
pub(crate) struct DiffArgs {
    /// Trace to compare with; - for standard input
    pub(crate) base: PathBuf,
    /// Trace to judge; - for standard input
    pub(crate) new: PathBuf,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) stages: StageArgs,
    /// Least change of a percentile that counts
    #[arg(long, value_name = "PERCENT", default_value = "10%")]
    pub(crate) threshold: Percent,
    /// Complete spans that a stage needs in both traces to be judged
    #[arg(long, value_name = "N", default_value = "30")]
    pub(crate) min_spans: u64,
    /// Percentiles that stages are judged by: p50, p90, p99
    #[arg(long, value_name = "PERCENTILE", default_value = "p50", value_delimiter = ',')]
    pub(crate) by: Vec<PercentileArg>,
    /// How to show it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: ReportFormat,
}

const DIFF_HELP: &str = "\
    A stage is slower if a judged percentile of its complete spans grew by more than the threshold, and by more than chance \
    within the runs explains: the 99 % confidence ranges of the two percentiles, from the ranks of the spans around them, do \
    not touch. That takes spans to be independent, and says nothing of what differs between two runs of one program, such as \
    another load on the machine: compare two runs of the base to choose a threshold. A p99 needs about 1000 spans.\n\n\
    Exit codes: 0 no stage got slower; 1 a stage did; 2 usage; 3 none got slower as far as can be said: events were lost, or a \
    stage is gone or has too few spans.";

/// A share in percent: `10%`, `2.5`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Percent(pub(crate) f64);

impl std::str::FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.strip_suffix('%').unwrap_or(text).trim().parse::<f64>();
        let number = number.ok().filter(|number| number.is_finite() && *number >= 0.0);
        number.map(Self).ok_or_else(|| "expected a percentage such as 10%".to_owned())
    }
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum PercentileArg {
    P50,
    P90,
    P99,
}

#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// Trace to read; - for standard input
    pub(crate) file: PathBuf,
    /// Read all events and count those of each probe and process
    #[arg(long)]
    pub(crate) counts: bool,
    /// How to show it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: TextFormat,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Trace to read; - for standard input
    pub(crate) file: PathBuf,
    /// How to show it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: TextFormat,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum TextFormat {
    Text,
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Trace to read; - for standard input
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) stages: StageArgs,
    /// Format, if it is not the one that the end of the file name says
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<ExportFormat>,
    /// What the rows of a table are
    #[arg(long, value_name = "TABLE", default_value = "events")]
    pub(crate) table: TableArg,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ExportFormat {
    /// Chrome JSON (.json), which Perfetto and chrome://tracing open
    Chrome,
    /// Perfetto's own format (.pftrace): smaller, loads faster
    Perfetto,
    Parquet,
    Arrow,
    Csv,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum TableArg {
    Events,
    Spans,
}

#[derive(Debug, Args)]
pub(crate) struct OpenArgs {
    /// Trace to read; - for standard input
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) stages: StageArgs,
    /// Print the address, and leave it to you to open it
    #[arg(long)]
    pub(crate) no_browser: bool,
    /// Port on 127.0.0.1; the public Perfetto UI reads from 9001 only
    #[arg(long, value_name = "PORT", default_value = "9001")]
    pub(crate) port: u16,
    /// Perfetto UI to open it in
    #[arg(long, value_name = "URL", default_value = "https://ui.perfetto.dev")]
    pub(crate) ui: String,
}

#[derive(Debug, Args)]
pub(crate) struct CutArgs {
    /// Trace to read; - for standard input
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

#[derive(Debug, Args)]
pub(crate) struct MergeArgs {
    /// Traces to read; times are those of the first one's clock
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RepairArgs {
    /// Trace to read; it is not changed
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

/// Where to write.
#[derive(Debug, Clone, Args)]
pub(crate) struct TargetArgs {
    /// File to write; - for standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Overwrite an existing file
    #[arg(short, long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Log to read; - for standard input
    pub(crate) log: PathBuf,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok().filter(|speed: &f64| speed.is_finite() && *speed > 0.0);
    speed.ok_or_else(|| "expected a number above 0".to_owned())
}

/// A command line that clap cannot see is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
