//! `tracer replay`: a trace as the documented log.

mod follow;

use std::io::{self, IsTerminal};

use tracer_analyzer::replay::{LogShape, TimeForm};
use tracer_analyzer::{Selection, replay as analyzer_replay};

use crate::cli::{LogFormat, ReplayArgs, TimeArg};
use crate::done::Done;
use crate::file::input::{Input, is_pipe};
use crate::file::trace;
use crate::terminal::has_colours;

pub(crate) fn replay(args: &ReplayArgs) -> anyhow::Result<Done> {
    let filter = (&args.filter).into();
    let shape = shape(args);
    if args.follow || (args.speed.is_none() && shape.is_none() && is_pipe(&args.file)) {
        return follow::follow(&args.file, &filter);
    }
    let input = Input::open(&args.file)?;
    let trace = trace::open(&input, &args.file)?;
    let selection = Selection::new(&filter, &trace)?;
    widen(&io::stdout());
    let mut out = io::stdout().lock();
    let outcome = match (args.speed, shape) {
        (Some(speed), _) => analyzer_replay::replay_paced(&trace, &selection, speed, &mut out)?,
        (None, Some(shape)) => {
            let mut out = io::BufWriter::with_capacity(1 << 18, out);
            analyzer_replay::replay_shaped(&trace, &selection, shape, &mut out)?
        }
        (None, None) => analyzer_replay::replay(&trace, &selection, &mut out)?,
    };
    Ok(trace::done(&args.file, &outcome))
}

/// Bytes that a pipe is to hold: as many as any user may have.
const PIPE_BYTES: usize = 1 << 20;

/// Has a pipe hold more, so that each of its ends waits less often for the other; one that cannot stays as it is.
fn widen(out: &io::Stdout) {
    #[cfg(target_os = "linux")]
    if rustix::pipe::fcntl_getpipe_size(out).is_ok_and(|bytes| bytes < PIPE_BYTES) {
        let _ = rustix::pipe::fcntl_setpipe_size(out, PIPE_BYTES);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (out, PIPE_BYTES);
}

/// The shape of the events, if it is not the log's.
fn shape(args: &ReplayArgs) -> Option<LogShape> {
    if args.format == LogFormat::Jsonl {
        return Some(LogShape::JsonLines);
    }
    let time = match args.time {
        Some(TimeArg::Relative) => TimeForm::Relative,
        Some(TimeArg::Wall) => TimeForm::Wall,
        Some(TimeArg::Delta) => TimeForm::Delta,
        None => TimeForm::Clock,
    };
    let colours = io::stdout().is_terminal() && has_colours();
    (args.time.is_some() || args.threads).then_some(LogShape::Lines { time, threads: args.threads, colours })
}
