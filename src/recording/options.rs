//! What the command line asks of the recorder.

use tracer_format::grammar::{Request, Rotation};
use tracer_recorder::find::discover::Filter;
use tracer_recorder::host::memory_limit;
use tracer_recorder::kernel::link::AttachMode;
use tracer_recorder::run::user::User;
use tracer_recorder::{Bounds, Flight, Priority, RecordOptions};

use super::screen::shows_progress;
use crate::cli::{AttachArg, Mistake, RecordArgs, names_and_files};
use crate::file::presets;

/// Bytes that may wait to be written: some seconds of a disk that stands still, at full speed.
const SPOOL_BYTES: usize = 64 << 20;
/// What is recorded where nothing is named.
const DEFAULT_EVENTS: &str = "buffer_tracker:*";

pub(super) fn bounds(args: &RecordArgs) -> Bounds {
    let (rotate_bytes, rotate_after) = match args.rotate {
        Some(Rotation::Size(bytes)) => (Some(bytes), None),
        Some(Rotation::Time(time)) => (None, Some(time)),
        None => (None, None),
    };
    let max_bytes = memory(args, 256 << 20, 4);
    Bounds {
        max_bytes: args.max_size.map(|size| size.0),
        max_events: args.max_events,
        rotate_bytes,
        rotate_after,
        flight: args.last.map(|last| Flight { last: last.0, max_bytes }),
    }
}

/// Bytes that may wait to be written; with --last that is only the snapshot.
pub(super) fn spool_bytes(args: &RecordArgs) -> usize {
    let usual = memory(args, SPOOL_BYTES, 8);
    if args.last.is_some() { usual.min(SPOOL_BYTES) } else { usual }
}

/// What --memory says, else `usual`, or this share of what the control group may use.
fn memory(args: &RecordArgs, usual: usize, share: u64) -> usize {
    let limit =
        memory_limit().map_or(usize::MAX, |limit| usize::try_from(limit / share).unwrap_or(usize::MAX));
    args.memory.map_or(usual.min(limit), |size| usize::try_from(size.0).unwrap_or(usize::MAX))
}

pub(super) fn options(args: &RecordArgs) -> anyhow::Result<RecordOptions> {
    let ring_size = args.ring_size.map_or_else(default_ring_size, |size| size.0);
    let ring_bytes = u32::try_from(ring_size).unwrap_or(u32::MAX);
    if !ring_bytes.is_power_of_two() || ring_bytes < 4096 {
        let found = ring_size;
        return Err(Mistake(format!("--ring-size {found}: expected a power of two from 4K to 2G")).into());
    }
    let (programs, files) = names_and_files(&args.programs)?;
    Ok(RecordOptions {
        filter: Filter { requests: requests(args)?, pids: args.pids.clone(), programs, files },
        keys: args.keys.clone(),
        attach: match args.attach {
            AttachArg::Auto => AttachMode::Auto,
            AttachArg::Multi => AttachMode::Multi,
            AttachArg::Perf => AttachMode::Perf,
        },
        ring_bytes,
        duration: args.duration.map(|time| time.0),
        command: args.command.clone(),
        everyone: args.all,
        user: user(args)?,
        wait: args.wait,
        priority: args.nice.map_or(Priority::High, Priority::Nice),
        progress: shows_progress(args),
        command_line: std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect(),
    })
}

/// The user that the command runs as.
fn user(args: &RecordArgs) -> anyhow::Result<Option<User>> {
    let found = args.user.as_deref().map(User::find).transpose()?;
    Ok(found.map(|user| User { is_confined: args.no_new_privs, ..user }))
}

/// Those that the user gave, else the preset's, else the demo's.
fn requests(args: &RecordArgs) -> anyhow::Result<Vec<Request>> {
    match &args.stages.preset {
        _ if !args.events.is_empty() => Ok(args.events.clone()),
        Some(preset) => Ok(presets::find(preset)?.events),
        None => Ok(vec![DEFAULT_EVENTS.parse()?]),
    }
}

/// 4 MiB for each processor, less on machines with many of them: together they take no more than 256 MiB, or one part in 32 of what
/// the control group may use. As much again is for plain events, and what was in the buffers of one processor takes twice its size while
/// it waits for its order.
fn default_ring_size() -> u64 {
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    let limit = memory_limit().unwrap_or(u64::MAX);
    let most = (limit / 32).min(256 << 20) / cpus.next_power_of_two();
    let least = if limit < 1 << 30 { 64 << 10 } else { 256 << 10 };
    (most + 1).next_power_of_two().div_euclid(2).clamp(least, 4 << 20)
}
