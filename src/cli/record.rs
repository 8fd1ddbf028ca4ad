//! What the verbs take that look at programs: `record`, `list`, `doctor`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use tracer_format::grammar::{KeyArgument, ProgramPattern, Request, Rotation, Size, TimeSpan, process_id};
use tracer_format::log::escape;

use super::mistake::Mistake;
use super::read::TextFormat;
use super::select::StageArgs;
use super::top::LookArgs;
use super::when::When;

#[derive(Debug, Args)]
pub(crate) struct RecordArgs {
    /// Trace file to write; - for standard output, FILE.parquet for a Parquet table
    #[arg(short, long, value_name = "FILE", default_value = "run.trace")]
    pub(crate) output: PathBuf,
    /// Overwrite an existing file
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Probes to record, globs allowed; string arguments as in 'python:function__entry(str,str)', 'app:query(arg2:str:1000)'
    /// (at most 1000 bytes instead of 255) or 'app:query(str:arg1)' (arg1 is the length) [default: the preset's, else
    /// buffer_tracker:*]
    #[arg(short = 'e', long = "event", value_name = "PROVIDER:PROBE")]
    pub(crate) events: Vec<Request>,
    /// Record these processes only: PID, PID,PID (may be given more than once)
    #[arg(short, long = "pid", value_name = "PID", value_delimiter = ',', value_parser = process_id)]
    pub(crate) pids: Vec<u32>,
    /// Record processes of this program only, globs allowed; or, with a slash, the probes of this program or library,
    /// whether it runs already or not (may be given more than once)
    #[arg(short = 'x', long = "program", value_name = "PROGRAM|./FILE", value_parser = program())]
    pub(crate) programs: Vec<ProgramArg>,
    /// The argument that is a probe's sequence number, if it is not the first
    #[arg(long = "key", value_name = "PROVIDER:PROBE=argN")]
    pub(crate) keys: Vec<KeyArgument>,
    /// End after this time, such as 10s or 500ms
    #[arg(short, long, value_name = "TIME")]
    pub(crate) duration: Option<TimeSpan>,
    /// Print the log to standard output while recording
    #[arg(long)]
    pub(crate) print: bool,
    /// Show the stages live, as tracer top does
    #[arg(long, conflicts_with_all = ["print", "rotate", "last"])]
    pub(crate) top: bool,
    #[command(flatten)]
    pub(crate) look: LookArgs,
    /// How to attach: auto, multi (Linux 6.6 and newer) or perf
    #[arg(long, value_name = "MODE", default_value = "auto")]
    pub(crate) attach: AttachArg,
    /// Size of the ring buffer of each processor, a power of two [default: 4M, less with more than 64 processors]
    #[arg(long, value_name = "SIZE")]
    pub(crate) ring_size: Option<Size>,
    /// An event is in the file at most this long after it fired
    #[arg(long, value_name = "TIME", default_value = "200ms")]
    pub(crate) flush: TimeSpan,
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
    pub(crate) rotate: Option<Rotation>,
    /// With --rotate: keep this many files, remove older ones
    #[arg(long, value_name = "N", requires = "rotate", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) keep: Option<u32>,
    /// Flight recorder: keep this much time in memory; write it on SIGUSR1, at the end and when --when says so
    #[arg(long, value_name = "TIME", conflicts_with_all = ["rotate", "max_size", "max_events"])]
    pub(crate) last: Option<TimeSpan>,
    /// Fail if fewer events than this were recorded; without a number, if none was
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "1", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) require_events: Option<u64>,
    /// With --last: end with a snapshot when a buffer takes longer in a stage, as in 'awe > 50ms'
    #[arg(long, value_name = "STAGE > TIME", requires = "last")]
    pub(crate) when: Option<When>,
    #[command(flatten)]
    pub(crate) stages: StageArgs,
    /// Memory for what waits until the disk or pipe takes it, and with --last for what is kept, at the most [default: 64M, with
    /// --last 256M; less in a small control group]
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<Size>,
    /// Nice value of the threads that collect and write, -20 to 19; 0 is that of most programs [default: above all programs,
    /// real-time where that is allowed]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(-20..=19))]
    pub(crate) nice: Option<i32>,
    /// Begin even if no running process has a matching probe, and wait for one
    #[arg(long)]
    pub(crate) wait: bool,
    /// Write a byte to this file descriptor when every probe is attached
    #[arg(long, value_name = "N")]
    pub(crate) ready_fd: Option<u32>,
    /// Say nothing but errors, and what was lost or not recorded
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// With COMMAND: record every process, not only the command and its children
    #[arg(short, long, requires = "command", conflicts_with = "pids")]
    pub(crate) all: bool,
    /// Run the command as this user (name or number), with the user's groups, HOME, USER, LOGNAME and SHELL, in a session of
    /// its own; of the other variables it has PATH, TERM, LANG, LANGUAGE, LC_* and TZ
    #[arg(long, value_name = "USER", requires = "command")]
    pub(crate) user: Option<String>,
    /// With --user: neither the command nor what it starts gains privileges, as by set-uid programs
    #[arg(long, requires = "user")]
    pub(crate) no_new_privs: bool,
    /// Command to run and record, with its children; the recording ends with it
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// What to look at.
#[derive(Debug, Clone)]
pub(crate) enum ProgramArg {
    /// Processes of programs with such a name.
    Name(ProgramPattern),
    /// A file, by its path.
    File(PathBuf),
}

/// Reads a name, or a path: what has a slash.
fn program() -> impl TypedValueParser<Value = ProgramArg> {
    OsStringValueParser::new().try_map(|text| {
        if text.as_encoded_bytes().contains(&b'/') {
            return Ok(ProgramArg::File(text.into()));
        }
        text.to_string_lossy().parse().map(ProgramArg::Name)
    })
}

/// Names and paths apart.
///
/// # Errors
/// If there are both: a name means processes with all that they run, and a path means one file in all processes.
pub(crate) fn names_and_files(
    programs: &[ProgramArg],
) -> Result<(Vec<ProgramPattern>, Vec<PathBuf>), Mistake> {
    let (mut names, mut files) = (Vec::new(), Vec::new());
    for program in programs {
        match program {
            ProgramArg::Name(name) => names.push(name.clone()),
            ProgramArg::File(file) => files.push(file.clone()),
        }
    }
    if let ([name, ..], [file, ..]) = (&names[..], &files[..]) {
        let file = file.to_string_lossy();
        let file = escape(&file);
        return Err(Mistake(format!("-x {name} is a program's name and -x {file} a path: give one kind")));
    }
    Ok((names, files))
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum AttachArg {
    Auto,
    Multi,
    Perf,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// List the presets instead, or print the one of this name
    #[arg(long, value_name = "NAME", num_args = 0..=1, conflicts_with_all = ["file", "pids", "programs"])]
    pub(crate) presets: Option<Option<String>>,
    /// Program or shared library to look into, also a name in PATH, instead of running processes
    pub(crate) file: Option<PathBuf>,
    /// Only these processes: PID, PID,PID
    #[arg(short, long = "pid", value_name = "PID", value_delimiter = ',', value_parser = process_id, conflicts_with = "file")]
    pub(crate) pids: Vec<u32>,
    /// Only these programs, globs allowed; or, with a slash, this program or library
    #[arg(short = 'x', long = "program", value_name = "PROGRAM|./FILE", conflicts_with = "file", value_parser = program())]
    pub(crate) programs: Vec<ProgramArg>,
    /// Only these probes, globs allowed
    #[arg(short = 'e', long = "event", value_name = "PROVIDER:PROBE", default_value = "*:*")]
    pub(crate) events: Vec<Request>,
}

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

const DOCTOR_HELP: &str = "\
    Each check is a line: ok; note, slower or worth knowing; limit, some probes or processes are missed; problem, nothing is \
    recorded. Exit codes: 0 this machine can record; 1 there is a problem; 3 it can record, but there is a limit.";
