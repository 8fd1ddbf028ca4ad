//! The verbs that write a new trace from what they read; their input is never changed.

use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::Context;
use tracer_analyzer::file::{self, ClockStep, Copied, Imported, Redacted, Redaction};
use tracer_analyzer::report::{self, counted, duration};
use tracer_analyzer::{Error, Selection};
use tracer_format::{Trace, Writer, WriterOptions};

use crate::cli::{CutArgs, ImportArgs, MergeArgs, RedactArgs, RepairArgs, TargetArgs};
use crate::done::Done;
use crate::file::input::{Input, name};
use crate::file::output::{self, Output, cannot_write};
use crate::file::{secret, trace};

pub(crate) fn import(args: &ImportArgs) -> anyhow::Result<Done> {
    let input = Input::open_log(&args.log)?;
    let options = options(identity(input.bytes()), input.bytes().len());
    let imported = write(&args.target, &[&args.log], options, |writer| {
        file::import(input.bytes(), writer).map_err(|error| match error {
            error @ Error::Log(_) => anyhow::Error::new(error).context(name(&args.log)),
            error => cannot_write(error, &args.target.output),
        })
    })?;
    let Imported { lost, gaps, unfinished, .. } = imported;
    if unfinished {
        say!("{}: the last line has no end and is left out: it may be cut off", name(&args.log));
    }
    if gaps > 0 {
        say!("{}: {}", name(&args.log), report::lost(lost, gaps));
    }
    Ok(if unfinished || gaps > 0 { Done::Lossy } else { Done::All })
}

pub(crate) fn cut(args: &CutArgs) -> anyhow::Result<Done> {
    let input = Input::open(&args.file)?;
    let trace = trace::open(&input, &args.file)?;
    let selection = Selection::new(&(&args.filter).into(), &trace).map_err(trace::about(&args.file))?;
    let id = identity((&trace.trace_ids, format!("{:?}", args.filter)));
    let inputs = [file::Input { trace: &trace, selection }];
    let options = options(id, input.bytes().len());
    let outcome = copy(&args.target, &[&args.file], options, &inputs)?.outcome;
    Ok(trace::done(&args.file, &outcome))
}

pub(crate) fn merge(args: &MergeArgs) -> anyhow::Result<Done> {
    let inputs: Vec<Input> =
        args.files.iter().map(|path| Input::open(path)).collect::<anyhow::Result<_>>()?;
    let traces: Vec<Trace<'_>> = inputs
        .iter()
        .zip(&args.files)
        .map(|(input, path)| trace::open(input, path))
        .collect::<anyhow::Result<_>>()?;
    let sources: Vec<_> =
        traces.iter().map(|trace| file::Input { trace, selection: Selection::all() }).collect();
    let files: Vec<&Path> = args.files.iter().map(PathBuf::as_path).collect();
    let ids: Vec<_> = traces.iter().map(|trace| &trace.trace_ids).collect();
    let options = options(identity(ids), inputs.iter().map(|input| input.bytes().len()).sum());
    let copied = copy(&args.target, &files, options, &sources)?;
    for step in &copied.steps {
        say!("{}: {}", name(&args.files[step.input]), step_text(step));
    }
    if copied.repeated > 0 {
        let events = counted(copied.repeated, "event");
        say!("{}: {events} of several traces taken once", name(&args.target.output));
    }
    let mut done = trace::done(&args.target.output, &copied.outcome);
    if let [(one, other), more @ ..] = &copied.disguised[..] {
        let (one, other) = (name(&args.files[*one]), name(&args.files[*other]));
        let more =
            if more.is_empty() { String::new() } else { format!("; so are {} more pairs", more.len()) };
        say!(
            "{one} and {other} are of the same processes, and one is redacted: what both recorded may stand there \
             twice (redact them with one --secret, or merge first){more}"
        );
        done = Done::Lossy;
    }
    if copied.not_compared == 0 {
        return Ok(done);
    }
    let events = counted(copied.not_compared, "event");
    let (target, why) = (name(&args.target.output), "too many have the same time to be compared");
    say!("{target}: {events} may stand there twice, if several traces have the same: {why}");
    Ok(Done::Lossy.and(done))
}

fn step_text(step: &ClockStep) -> String {
    let ClockStep { at_ns, by_ns, slept, .. } = *step;
    let by = duration(by_ns.unsigned_abs());
    let what = match (slept, by_ns < 0) {
        (true, _) => format!("the machine slept for {by}"),
        (false, false) => format!("its clock was set forward by {by}"),
        (false, true) => format!("its clock was set back by {by}"),
    };
    format!("{what} before {at_ns} ns; events after that are moved by as much")
}

pub(crate) fn repair(args: &RepairArgs) -> anyhow::Result<Done> {
    let input = Input::open(&args.file)?;
    // Not by the index: all that is there is looked at.
    let trace = Trace::scan(input.bytes()).with_context(|| name(&args.file))?;
    let inputs = [file::Input { trace: &trace, selection: Selection::all() }];
    let id = identity((&trace.trace_ids, "repaired"));
    let options = options(id, input.bytes().len());
    let outcome = copy(&args.target, &[&args.file], options, &inputs)?.outcome;
    say!("{}: {}", name(&args.target.output), counted(outcome.events, "event"));
    Ok(trace::done(&args.file, &outcome))
}

pub(crate) fn redact(args: &RedactArgs) -> anyhow::Result<Done> {
    let input = Input::open(&args.file)?;
    let trace = trace::open(&input, &args.file)?;
    let secret = match &args.secret {
        Some(path) => secret::read(path)?,
        None => secret::random::<32>().context("cannot read /dev/urandom")?.to_vec(),
    };
    let tool = concat!("tracer ", env!("CARGO_PKG_VERSION"));
    let how = Redaction { secret: &secret, names: args.names, keys: args.keys, tool };
    let inputs: Vec<&Path> = args.secret.iter().chain([&args.file]).map(PathBuf::as_path).collect();
    let options = options(identity((&trace.trace_ids, &secret)), input.bytes().len());
    let Redacted { outcome, telling } = write(&args.target, &inputs, options, |writer| {
        file::redact(&trace, &how, writer).map_err(|error| cannot_write(error, &args.target.output))
    })?;
    if !telling.is_empty() {
        let names = counted(telling.len() as u64, "name");
        say!("{names} replaced too, as the name of a host or a user is in it: {}", telling.join(", "));
    }
    let left: Vec<&str> = [(args.names, "names (--names)"), (args.keys, "numbers in arguments (--keys)")]
        .into_iter()
        .filter_map(|(is_replaced, what)| (!is_replaced).then_some(what))
        .collect();
    let left = if left.is_empty() { String::new() } else { format!("; as they were: {}", left.join(", ")) };
    say!("{}: {}{left}", name(&args.target.output), counted(outcome.events, "event"));
    Ok(trace::done(&args.file, &outcome))
}

/// A number that tells a trace from others and is the same for the same input; never 0.
fn identity(of: impl std::hash::Hash) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    of.hash(&mut hasher);
    std::hash::Hasher::finish(&hasher).max(1)
}

/// What is read of less bytes is not worth a thread.
const SMALL_BYTES: usize = 1 << 20;
/// More threads than these compress faster than one can collect events.
const MAX_THREADS: usize = 8;

/// How a trace with the identity `trace_id` is written from so many bytes.
fn options(trace_id: u64, bytes: usize) -> WriterOptions {
    let processors = || thread::available_parallelism().map_or(1, usize::from);
    let threads = if bytes < SMALL_BYTES { 0 } else { processors().min(MAX_THREADS) };
    // One processor has nothing to do side by side.
    WriterOptions { trace_id, threads: if threads > 1 { threads } else { 0 }, ..WriterOptions::default() }
}

/// Writes what is selected of the inputs, which are read from `files`, to the target.
fn copy(
    target: &TargetArgs,
    files: &[&Path],
    options: WriterOptions,
    inputs: &[file::Input<'_, '_>],
) -> anyhow::Result<Copied> {
    write(target, files, options, |writer| {
        file::copy(inputs, writer).map_err(|error| cannot_write(error, &target.output))
    })
}

/// Writes a trace to the target, which is none of the `files`.
fn write<T>(
    target: &TargetArgs,
    files: &[&Path],
    options: WriterOptions,
    fill: impl FnOnce(&mut Writer<BufWriter<Output>>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let output = Output::create(&target.output, target.force, files)?;
    let failed = |error: tracer_format::Error| cannot_write(error.into(), &target.output);
    let mut writer = Writer::new(BufWriter::new(output), options).map_err(failed)?;
    let filled = fill(&mut writer)?;
    writer.finish().and_then(|out| Ok(output::finish(out)?)).map_err(failed)?;
    Ok(filled)
}
