//! What the verbs take that read a trace and print.

use std::path::PathBuf;

use clap::Args;
use tracer_format::grammar::TimeSpan;

use tracer_analyzer::analysis::budget::Condition;
use tracer_analyzer::analysis::group::GroupBy;

use super::select::{FilterArgs, StageArgs};

#[derive(Debug, Args)]
#[command(after_help = REPLAY_HELP)]
pub(crate) struct ReplayArgs {
    /// Trace to read; - for standard input: what comes out of a pipe is printed as it comes
    pub(crate) file: PathBuf,
    /// Print the events of a trace that is being written, or that does not exist yet, until it is finished
    #[arg(long)]
    pub(crate) follow: bool,
    /// Print each event when it is due: 1 for the time that the recording took, 10 for a tenth of it
    #[arg(long, value_name = "TIMES", conflicts_with = "follow", value_parser = speed)]
    pub(crate) speed: Option<f64>,
    /// Times of the lines: since the first event of the trace, as wall time (UTC), or since the line before
    #[arg(long, value_name = "FORM", conflicts_with_all = ["follow", "speed"])]
    pub(crate) time: Option<TimeArg>,
    /// Show the thread of each event
    #[arg(long, conflicts_with_all = ["follow", "speed"])]
    pub(crate) threads: bool,
    /// jsonl: an object for each event, with its time, host, processor, process, thread and arguments, and for each place where events
    /// are missing
    #[arg(long, value_name = "FORMAT", default_value = "log", conflicts_with_all = ["follow", "speed", "time", "threads"])]
    pub(crate) format: LogFormat,
    /// A colour for each process; auto: on a terminal, where --time, --threads or one number of --seq ask for more than the log,
    /// and NO_COLOR is not set
    #[arg(long, value_name = "WHEN", default_value = "auto", conflicts_with_all = ["follow", "speed"])]
    pub(crate) color: ColorArg,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ColorArg {
    Auto,
    Always,
    Never,
}

const REPLAY_HELP: &str = "\
    --seq N, a number by itself, shows the life of one buffer: its events, and between them how long it was worked on or waited, how \
    many times the median that is (of the 131072 events around it, in a larger trace), and which process handed it on. --seq N..N prints its lines of the log alone.";

/// What stands where the log has the time of the events' clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum TimeArg {
    Relative,
    Wall,
    Delta,
}

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    Log,
    Jsonl,
}

#[derive(Debug, Args)]
pub(crate) struct AnalyzeArgs {
    /// Trace to read; - for standard input
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) stages: StageArgs,
    /// Slowest buffers to list, with what made each slow
    #[arg(long, value_name = "N", default_value = "5")]
    pub(crate) worst: usize,
    /// Draw plots below the report: how latencies are distributed, when they were long, how many were under way at once; of letters
    /// that the locale has (LC_ALL, LC_CTYPE, LANG)
    #[arg(long)]
    pub(crate) plot: bool,
    /// Show every stage, hand-off and figure, also those that the path or the tree stands for
    #[arg(long)]
    pub(crate) all: bool,
    /// A table of latencies for each value of something: pid, tid, program, cpu, argN, str (the first string), or
    /// sql (the same without numbers and quoted texts)
    #[arg(long, value_name = "WHAT")]
    pub(crate) group_by: Option<GroupBy>,
    /// Write the stages with the keys that were chosen to this file, which --stages takes
    #[arg(long, value_name = "FILE.toml", group = "written")]
    pub(crate) stages_out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) budget: BudgetArgs,
    /// Overwrite existing files of --stages-out and --junit
    #[arg(short, long, requires = "written")]
    pub(crate) force: bool,
    /// How to show it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: ReportFormat,
}

/// What fails a job.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct BudgetArgs {
    /// Fail if this holds: 'awe.p99 > 5ms', 'awe -> writing.max > 1ms', 'end to end.p50 > 10ms', 'awe.count < 100',
    /// 'awe.open > 1', 'loss > 0' (may be given more than once); exit code 1 if one holds, 3 if that cannot be said of one
    #[arg(long, value_name = "CONDITION")]
    pub(crate) fail_if: Vec<Condition>,
    /// A TOML file with conditions: fail_if = ["awe.p99 > 5ms", "loss > 0"]
    #[arg(long, value_name = "FILE.toml")]
    pub(crate) budget: Option<PathBuf>,
    /// Write the results to this file as JUnit XML
    #[arg(long, value_name = "FILE.xml", group = "written")]
    pub(crate) junit: Option<PathBuf>,
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
    /// Trace to compare with, or a glob in quotes; - for standard input
    #[arg(required_unless_present_any = ["base_files", "new_files"], conflicts_with_all = ["base_files", "new_files"])]
    pub(crate) base: Option<PathBuf>,
    /// Trace to judge, or a glob in quotes; - for standard input
    #[arg(required_unless_present_any = ["base_files", "new_files"])]
    pub(crate) new: Option<PathBuf>,
    /// What a glob without quotes gives; refused.
    #[arg(hide = true)]
    pub(crate) more: Vec<PathBuf>,
    /// Traces to compare with, runs of one build; globs allowed, as in 'base/*.trace'
    #[arg(long = "base", value_name = "FILES", num_args = 1.., requires = "new_files")]
    pub(crate) base_files: Vec<PathBuf>,
    /// Traces to judge, runs of another build; globs allowed
    #[arg(long = "new", value_name = "FILES", num_args = 1.., requires = "base_files")]
    pub(crate) new_files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) stages: StageArgs,
    /// Least change that counts; of p90 twice, of p99 five times as much
    #[arg(long, alias = "threshold", value_name = "PERCENT", default_value = "5%")]
    pub(crate) min_change: Percent,
    /// Least change that counts, as a time
    #[arg(long, value_name = "TIME", default_value = "1us")]
    pub(crate) min_difference: TimeSpan,
    /// Complete spans that a stage needs on both sides to be judged
    #[arg(long, value_name = "N", default_value = "30")]
    pub(crate) min_spans: u64,
    /// Percentiles that decide: p50, p90, p99 [default: p50, and p90 where there are enough spans]
    #[arg(long, alias = "by", value_name = "PERCENTILE", value_delimiter = ',')]
    pub(crate) judge: Option<Vec<PercentileArg>>,
    #[command(flatten)]
    pub(crate) budget: BudgetArgs,
    /// Overwrite an existing file of --junit
    #[arg(short, long, requires = "written")]
    pub(crate) force: bool,
    /// How to show it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: ReportFormat,
}

const DIFF_HELP: &str = "\
    A stage is slower if all its spans together got longer (the median of new divided by base over all pairs) by more than \
    --min-change, and by more than chance explains: 3.09 standard deviations by ranks, more if many stages are compared, with \
    neighbours that are alike counted for less. With three and more runs on each side, the change must also stand out from what \
    differs between runs of one build; record them in turn, base and new. It is the same only if the 99 % range of the change \
    lies within --min-change, else inconclusive. A p90 or p99 counts if it changed by more than its own noise.\n\n\
    Exit codes: 0 no stage got slower; 1 a stage did; 2 usage; 3 none got slower as far as can be said: events were lost, a \
    stage is gone or has too few spans, nothing was compared, or a trace with itself.";

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

pub(super) fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok().filter(|speed: &f64| speed.is_finite() && *speed > 0.0);
    speed.ok_or_else(|| "expected a number above 0".to_owned())
}
