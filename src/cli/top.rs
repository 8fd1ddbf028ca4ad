//! What `tracer top` takes, and `record --top`.

use std::path::PathBuf;

use clap::Args;
use tracer_format::grammar::TimeSpan;

use super::read::speed;
#[cfg(target_os = "linux")]
use super::record::RecordArgs;
#[cfg(not(target_os = "linux"))]
use super::select::{FilterArgs, StageArgs};

#[derive(Debug, Args)]
#[cfg_attr(
    target_os = "linux",
    command(
        mut_arg("output", |arg| arg.default_value("-").hide_default_value(true).help(KEPT)),
        mut_arg("print", |arg| arg.hide(true)),
        mut_arg("top", |arg| arg.hide(true)),
        mut_arg("rotate", |arg| arg.hide(true)),
        mut_arg("keep", |arg| arg.hide(true)),
        mut_arg("last", |arg| arg.hide(true)),
        mut_arg("when", |arg| arg.hide(true)),
        mut_arg("sync", |arg| arg.hide(true)),
        mut_arg("max_size", |arg| arg.hide(true)),
        mut_arg("require_events", |arg| arg.hide(true)),
    )
)]
#[command(after_help = KEYS)]
pub(crate) struct TopArgs {
    /// Trace to show instead of what runs, in the time that it took; - for standard input, as it comes. Of the options below, those
    /// that say what to look at go with it: -e, -p, -x and stages
    #[cfg_attr(target_os = "linux", arg(conflicts_with = "command"))]
    pub(crate) file: Option<PathBuf>,
    /// With FILE: how much faster than it was recorded; 10 for a tenth of the time
    #[arg(long, value_name = "TIMES", requires = "file", value_parser = speed)]
    pub(crate) speed: Option<f64>,
    /// With FILE: it is being written, or does not exist yet; show it as it grows
    #[arg(long, requires = "file", conflicts_with = "speed")]
    pub(crate) follow: bool,
    #[cfg(target_os = "linux")]
    #[command(flatten)]
    pub(crate) record: RecordArgs,
    #[cfg(not(target_os = "linux"))]
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[cfg(not(target_os = "linux"))]
    #[command(flatten)]
    pub(crate) stages: StageArgs,
    #[cfg(not(target_os = "linux"))]
    #[command(flatten)]
    pub(crate) look: LookArgs,
}

#[cfg(target_os = "linux")]
const KEPT: &str = "Keep the recording in this trace file, too";

pub(crate) const KEYS: &str = "\
    Keys: q ends, space pauses, s sorts by the next column, / filters by name, w writes the last seconds to a trace, a prefers figures \
    since the begin where there is no room for all, arrows scroll, ? helps. Without a terminal: --batch.";

/// How stages are shown live.
#[derive(Debug, Clone, Args)]
pub(crate) struct LookArgs {
    /// With top: time that recent figures are of
    #[arg(long, value_name = "TIME", default_value = "10s", help_heading = "Live stages")]
    pub(crate) window: TimeSpan,
    /// With top: time that a snapshot has
    #[arg(long, value_name = "TIME", default_value = "30s", help_heading = "Live stages")]
    pub(crate) snapshot: TimeSpan,
    /// With top: time from one look to the next
    #[arg(long, value_name = "TIME", default_value = "1s", help_heading = "Live stages")]
    pub(crate) interval: TimeSpan,
    /// With top: print plain tables to standard output, which need not be a terminal, instead of drawing on the screen
    #[arg(short, long, help_heading = "Live stages")]
    pub(crate) batch: bool,
    /// With --batch: end after this many tables
    #[arg(short = 'n', long, value_name = "N", requires = "batch", help_heading = "Live stages",
        value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) iterations: Option<u64>,
}
