//! Which events and which stages of a trace: what most verbs take.

use std::path::PathBuf;

use clap::Args;
use tracer_analyzer::Filter;
use tracer_analyzer::stage::Draft;
use tracer_format::grammar::{Moment, ProgramPattern, Request, SeqRange, process_id};

/// Which events of a trace to look at.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct FilterArgs {
    /// Only these probes, globs allowed; PROVIDER alone for all of its probes
    #[arg(short = 'e', long = "event", value_name = "PROVIDER:PROBE")]
    pub(crate) events: Vec<Request>,
    /// Only these processes: PID, PID,PID
    #[arg(short, long = "pid", value_name = "PID", value_delimiter = ',', value_parser = process_id)]
    pub(crate) pids: Vec<u32>,
    /// Only these programs, globs allowed
    #[arg(short = 'x', long = "program", value_name = "PROGRAM")]
    pub(crate) programs: Vec<ProgramPattern>,
    /// Only these sequence numbers: N, A..B (both included), A.. or ..B
    #[arg(long, value_name = "A..B", allow_hyphen_values = true)]
    pub(crate) seq: Option<SeqRange>,
    /// From this time on: offset from the first event (1.5s, 1m30s) or wall time (2026-01-31T12:00:00Z)
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<Moment>,
    /// Up to this time: offset from the first event or wall time
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<Moment>,
}

impl From<&FilterArgs> for Filter {
    fn from(args: &FilterArgs) -> Self {
        Self {
            probes: args.events.clone(),
            pids: args.pids.clone(),
            programs: args.programs.clone(),
            keys: args.seq,
            from: args.from,
            to: args.to,
        }
    }
}

/// Which stages to look at.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct StageArgs {
    /// A stage, instead of those learned from the probes' names; KEY is a list of seq, argN, str, pid, tid,
    /// ppid; without it the key is chosen from the events. Or 'NAME = PROVIDER:PROBE lasting arg1 us': argument 1 of one
    /// probe tells how long the stage took, in ns, us, ms or s
    #[arg(long = "stage", value_name = "NAME = PROVIDER:FROM -> PROVIDER:TO [by KEY]")]
    pub(crate) stages: Vec<Draft>,
    /// A TOML file with a table "stages" of lines such as NAME = "PROVIDER:FROM -> PROVIDER:TO by KEY"
    #[arg(long = "stages", value_name = "FILE.toml")]
    pub(crate) stages_file: Option<PathBuf>,
    /// Probes to record and stages of a well-known program: postgresql, hotspot, ruby, php, python, libvirt, or
    /// one of yours; see tracer list --presets
    #[arg(long, value_name = "NAME|FILE.toml")]
    pub(crate) preset: Option<String>,
}

impl StageArgs {
    /// Whether stages are given, of whatever kind.
    pub(crate) fn is_given(&self) -> bool {
        !self.stages.is_empty() || self.stages_file.is_some() || self.preset.is_some()
    }
}
