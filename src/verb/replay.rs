//! `tracer replay`: a trace as the documented log.

mod follow;

use std::io::{self, IsTerminal};

use tracer_analyzer::replay::{LogShape, Medians, TimeForm};
use tracer_analyzer::stage::choose;
use tracer_analyzer::{Selection, replay as analyzer_replay};

use crate::cli::{ColorArg, LogFormat, ReplayArgs, TimeArg};
use crate::done::Done;
use crate::file::input::{Input, is_pipe, name};
use crate::file::trace;
use crate::terminal::has_colours;

pub(crate) fn replay(args: &ReplayArgs) -> anyhow::Result<Done> {
    let filter = (&args.filter).into();
    let is_life = is_life(args);
    let is_log = !is_life && shape(args, None).is_none();
    if args.follow || (args.speed.is_none() && is_log && is_pipe(&args.file)) {
        return follow::follow(&args.file, &filter);
    }
    let input = Input::open(&args.file)?;
    let trace = trace::open(&input, &args.file)?;
    let selection = Selection::new(&filter, &trace).map_err(trace::about(&args.file))?;
    // Without names of stages, it has those of probes.
    let drafts = || choose(&[], &trace.definitions).unwrap_or_default();
    let medians = is_life.then(|| Medians::around(&trace, &selection, &drafts())).transpose()?;
    let shape = shape(args, medians.as_ref());
    widen(&io::stdout());
    let mut out = io::stdout().lock();
    let outcome = match (args.speed, shape) {
        (Some(speed), _) => analyzer_replay::replay_paced(&trace, &selection, speed, &mut out)?,
        (None, Some(shape)) => {
            let mut out = io::BufWriter::with_capacity(1 << 18, out);
            analyzer_replay::replay_shaped(&trace, &selection, shape, &mut out)
                .map_err(trace::about(&args.file))?
        }
        (None, None) => analyzer_replay::replay(&trace, &selection, &mut out)?,
    };
    if let (true, 0, Some(seq)) = (is_life, outcome.events, &args.filter.seq) {
        say!("{}: no event has the number {}", name(&args.file), seq.first);
    }
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

/// The shape of the events, if it is not the log's; `medians` are there for the life of one buffer.
fn shape<'s>(args: &ReplayArgs, medians: Option<&'s Medians>) -> Option<LogShape<'s>> {
    if args.format == LogFormat::Jsonl {
        return Some(LogShape::JsonLines);
    }
    let time = match args.time {
        Some(TimeArg::Relative) => TimeForm::Relative,
        Some(TimeArg::Wall) => TimeForm::Wall,
        Some(TimeArg::Delta) => TimeForm::Delta,
        None => TimeForm::Clock,
    };
    let is_shaped = args.time.is_some() || args.threads || medians.is_some();
    let colours = match args.color {
        ColorArg::Auto => is_shaped && io::stdout().is_terminal() && has_colours(),
        ColorArg::Always => true,
        ColorArg::Never => false,
    };
    (is_shaped || colours).then_some(LogShape::Lines { time, threads: args.threads, colours, life: medians })
}

/// Whether the life of one buffer is asked for.
fn is_life(args: &ReplayArgs) -> bool {
    let is_one = args.filter.seq.is_some_and(|seq| seq.is_one_number);
    is_one && args.format == LogFormat::Log && !args.follow && args.speed.is_none()
}
