//! What the verbs take that write a file from a trace.

use std::path::PathBuf;

use clap::Args;
use tracer_analyzer::picture::{Drawn, Probes, SpanPlace};
use tracer_analyzer::tables::dataset::{Date, Suite};

use super::select::{FilterArgs, StageArgs};

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Trace to read, - for standard input; several with --dataset
    #[arg(required_unless_present = "compact", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// File to write; - for standard output
    #[arg(short, long, value_name = "FILE", required_unless_present = "dataset", conflicts_with = "dataset")]
    pub(crate) output: Option<PathBuf>,
    /// Overwrite an existing file
    #[arg(short, long, conflicts_with = "dataset")]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) dataset: DatasetArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) stages: StageArgs,
    /// Format, if it is not the one that the end of the file name says; ctf makes a folder
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<ExportFormat>,
    /// What the rows of a table are
    #[arg(long, value_name = "TABLE", default_value = "events")]
    pub(crate) table: TableArg,
    /// CSV for a spreadsheet: a text that it would take for a formula (=, +, -, @ first) has a ' before it
    #[arg(long)]
    pub(crate) safe_csv: bool,
    #[command(flatten)]
    pub(crate) drawn: DrawnArgs,
}

/// A dataset to add to, instead of a file to write.
#[derive(Debug, Args)]
#[command(next_help_heading = "Datasets")]
pub(crate) struct DatasetArgs {
    /// Add the traces to the dataset in this folder: Parquet tables that DuckDB, Spark and others query; one that is there
    /// already is not added again
    #[arg(long, value_name = "DIR")]
    pub(crate) dataset: Option<PathBuf>,
    /// What the traces are runs of; a part of the folders' names
    #[arg(
        long,
        value_name = "NAME",
        default_value = "default",
        requires = "dataset",
        conflicts_with = "output"
    )]
    pub(crate) suite: Suite,
    /// The commit that was recorded, for the column commit_id
    #[arg(long, value_name = "ID", requires = "dataset", conflicts_with = "output")]
    pub(crate) commit: Option<String>,
    /// The day of traces without wall time, such as imported logs; all others know theirs
    #[arg(long, value_name = "YYYY-MM-DD", requires = "dataset", conflicts_with = "output")]
    pub(crate) date: Option<Date>,
    /// Merge small files of the dataset at the end; traces need not be given
    #[arg(long, requires = "dataset", conflicts_with = "output")]
    pub(crate) compact: bool,
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct DrawnArgs {
    /// Draw stages, hand-offs and loss, but not each event: the file is much smaller
    #[arg(long)]
    pub(crate) no_probes: bool,
    /// A track for each buffer, instead of its stages on their threads; at most 1000 buffers
    #[arg(long)]
    pub(crate) by_buffer: bool,
}

impl DrawnArgs {
    pub(crate) fn drawn(self) -> Drawn {
        Drawn {
            probes: if self.no_probes { Probes::LeftOut } else { Probes::Drawn },
            spans: if self.by_buffer { SpanPlace::Buffers } else { SpanPlace::Threads },
        }
    }
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
    /// Common Trace Format 1.8 for babeltrace2 and Trace Compass: the output is a folder
    Ctf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum TableArg {
    Events,
    Spans,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Trace to read, - for standard input; of several the last is shown, beside those before it, as diff compares them
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Page to write; - for standard output
    #[arg(short, long, value_name = "FILE", default_value = "report.html")]
    pub(crate) output: PathBuf,
    /// Overwrite an existing page
    #[arg(short, long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) stages: StageArgs,
    /// Slowest buffers to show step by step
    #[arg(long, value_name = "N", default_value = "10")]
    pub(crate) worst: usize,
}

#[derive(Debug, Args)]
pub(crate) struct OpenArgs {
    /// Trace to read; - for standard input
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) stages: StageArgs,
    #[command(flatten)]
    pub(crate) drawn: DrawnArgs,
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

#[derive(Debug, Args)]
#[command(after_help = REDACT_HELP)]
pub(crate) struct RedactArgs {
    /// Trace to read; it is not changed; - for standard input
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    /// Replace the names of programs, providers, probes and stages too
    #[arg(long)]
    pub(crate) names: bool,
    /// Replace the integers in arguments too, among them the keys
    #[arg(long)]
    pub(crate) keys: bool,
    /// A file of 16 bytes or more that only you know: with the same one, a text, name or number has the same pseudonym in several
    /// traces [default: random, forgotten afterwards]
    #[arg(long, value_name = "FILE")]
    pub(crate) secret: Option<PathBuf>,
}

const REDACT_HELP: &str = "\
    Left out: command lines, reasons why something was not recorded. Replaced by pseudonyms: hosts, kernels, boots, folders of \
    paths, strings in arguments; and names that hold the name of a host, or of a user whose home or --user is in the trace. As they \
    were: times, process and thread numbers, file names of programs and libraries, build ids (with --names replaced), floats. \
    analyze gives the same figures; with --keys it cannot tell which numbers never came, and a stage may take its duration from an argument \
    only if the recording was given that stage. Equal strings and numbers stay equal, and how often each comes is still there.";

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
