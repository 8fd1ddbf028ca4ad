//! `tracer replay`: a trace as the documented log.

mod follow;

use std::io;

use tracer_analyzer::{Selection, replay as analyzer_replay};

use crate::cli::ReplayArgs;
use crate::done::Done;
use crate::file::input::{Input, is_pipe};
use crate::file::trace;

pub(crate) fn replay(args: &ReplayArgs) -> anyhow::Result<Done> {
    let filter = (&args.filter).into();
    if args.follow || (args.speed.is_none() && is_pipe(&args.file)) {
        return follow::follow(&args.file, &filter);
    }
    let input = Input::open(&args.file)?;
    let trace = trace::open(&input, &args.file)?;
    let selection = Selection::new(&filter, &trace)?;
    let mut out = io::stdout().lock();
    let outcome = match args.speed {
        Some(speed) => analyzer_replay::replay_paced(&trace, &selection, speed, &mut out)?,
        None => analyzer_replay::replay(&trace, &selection, &mut out)?,
    };
    Ok(trace::done(&args.file, &outcome))
}
