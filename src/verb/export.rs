//! `tracer export`: a trace in the formats of other tools.

mod dataset;

use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracer_analyzer::picture::{MAX_THREAD_NAME_BYTES, chrome, ctf, perfetto};
use tracer_analyzer::stage::choice::{Chosen, Refused};
use tracer_analyzer::tables::{self, Format, Rows};
use tracer_analyzer::{Outcome, Selection};
use tracer_format::{Definitions, Process, Thread, Trace};

use crate::cli::{ExportArgs, ExportFormat, FilterArgs, Mistake, TableArg, TargetArgs};
use crate::done::Done;
use crate::file::input::{Input, is_standard, name};
use crate::file::output::{self, NewFolder, Output, cannot_write};
use crate::file::{stages, trace};

pub(crate) fn export(args: &ExportArgs) -> anyhow::Result<Done> {
    if let Some(folder) = &args.dataset.dataset {
        refuse_parts(args)?;
        return dataset::export(args, folder);
    }
    let ([file], Some(output)) = (&args.files[..], &args.output) else {
        return Err(Mistake("several traces go with --dataset, one with -o".to_owned()).into());
    };
    let target = TargetArgs { output: output.clone(), force: args.force };
    let format = format(args, output)?;
    let input = Input::open(file)?;
    let trace = trace::open(&input, file)?;
    let (outcome, refused) = match format {
        ExportFormat::Ctf => (to_folder(args, (file, &target), &trace)?, Vec::new()),
        format => write(args, (file, &target), format, &trace)?,
    };
    Ok(trace::done(file, &outcome).and(trace::refused(file, &refused)))
}

/// Writes the trace as CTF, which is a folder.
fn to_folder(
    args: &ExportArgs,
    (file, target): (&Path, &TargetArgs),
    trace: &Trace<'_>,
) -> anyhow::Result<Outcome> {
    let selection = Selection::new(&(&args.filter).into(), trace).map_err(trace::about(file))?;
    let TargetArgs { output: path, force } = target;
    let mut folder = CtfFolder(NewFolder::create(path, *force, ctf::is_file)?);
    let written = ctf::export(trace, &selection, &mut folder);
    let written = written.and_then(|outcome| Ok(folder.0.finish().map(|()| outcome)?));
    written.map_err(|error| cannot_write(error, path))
}

/// Takes the files of a CTF trace.
struct CtfFolder(NewFolder);

impl ctf::Folder for CtfFolder {
    fn append(&mut self, file: &str, bytes: &[u8]) -> io::Result<()> {
        self.0.append(file, bytes)
    }
}

/// Writes all events of the trace at `path` to `table`.
#[cfg(target_os = "linux")]
pub(crate) fn to_parquet(path: &Path, table: Output) -> anyhow::Result<()> {
    let input = Input::open(path)?;
    let trace = trace::open(&input, path)?;
    let mut out = BufWriter::with_capacity(1 << 18, table);
    tables::write(&trace, &Selection::all(), Rows::Events, Format::Parquet, &mut out)?;
    Ok(output::finish(out)?)
}

fn write(
    args: &ExportArgs,
    (file, target): (&Path, &TargetArgs),
    format: ExportFormat,
    trace: &Trace<'_>,
) -> anyhow::Result<(Outcome, Vec<Refused>)> {
    let selection = Selection::new(&(&args.filter).into(), trace).map_err(trace::about(file))?;
    let has_spans =
        matches!(format, ExportFormat::Chrome | ExportFormat::Perfetto) || args.table == TableArg::Spans;
    let Chosen { stages, refused, .. } =
        if has_spans { stages::of(&args.stages, file, trace, &selection)? } else { Chosen::default() };
    let rows = match args.table {
        TableArg::Events => Rows::Events,
        TableArg::Spans => Rows::Spans(&stages),
    };
    let inputs: Vec<&Path> = args.stages.stages_file.iter().map(PathBuf::as_path).chain([file]).collect();
    let drawn = args.drawn.drawn();
    warn_if_huge((args, &target.output), format, trace, !stages.is_empty());
    let output = Output::create(&target.output, target.force, &inputs)?;
    let mut out = BufWriter::with_capacity(1 << 18, output);
    let outcome = match format {
        ExportFormat::Chrome => chrome::export(trace, &selection, &stages, drawn, &mut out),
        ExportFormat::Perfetto => perfetto::export(trace, &selection, &stages, drawn, &mut out),
        ExportFormat::Parquet => tables::write(trace, &selection, rows, Format::Parquet, &mut out),
        ExportFormat::Arrow => tables::write(trace, &selection, rows, Format::Arrow, &mut out),
        ExportFormat::Csv => {
            let format = if args.safe_csv { Format::SafeCsv } else { Format::Csv };
            tables::write(trace, &selection, rows, format, &mut out)
        }
        ExportFormat::Ctf => unreachable!("it is no file"),
    };
    let written = outcome.and_then(|outcome| Ok(output::finish(out).map(|()| outcome)?));
    let outcome = written.map_err(|error| cannot_write(error, &target.output))?;
    Ok((outcome, refused))
}

/// Bytes of a picture from which on viewers take long to open it, or do not.
const HUGE_BYTES: u64 = 1 << 28;

/// Says how large the picture of a trace is to become, if that is much.
fn warn_if_huge(
    (args, output): (&ExportArgs, &Path),
    format: ExportFormat,
    trace: &Trace<'_>,
    has_stages: bool,
) {
    // As of a pipeline: each event, and the slices and arrows that it is an end of. Then each thing that is told of a process or thread.
    let (of_event, of_stages, of_fact) = match format {
        ExportFormat::Chrome => (150, 270, 95),
        ExportFormat::Perfetto => (42, 43, 25),
        _ => return,
    };
    let drawn = if args.drawn.no_probes { 0 } else { of_event };
    let bytes_per_event = drawn + if has_stages { of_stages } else { 0 };
    let bytes = trace.events().saturating_mul(bytes_per_event);
    let bytes = bytes.saturating_add(name_bytes(&trace.definitions, of_fact));
    if bytes >= HUGE_BYTES {
        let megabytes = bytes / 1_000_000;
        let less = if args.drawn.no_probes {
            "-e, --seq, --from and --to"
        } else {
            "--no-probes, -e, --seq, --from and --to"
        };
        say!(
            "{}: up to {megabytes} MB, which viewers take long to open; {less} make it smaller",
            name(output)
        );
    }
}

/// Bytes of what is told of processes and threads, where each fact has `of_fact` bytes beside the name in it.
fn name_bytes(definitions: &Definitions, of_fact: u64) -> u64 {
    let of_process = |process: &Arc<Process>| {
        let command: usize = process.command.iter().map(|word| word.len() + 1).sum();
        3 * of_fact + (process.program.len() + command) as u64
    };
    let of_thread = |thread: &Thread| {
        let name = definitions.process(thread.process).map_or(0, |process| process.program.len());
        4 * of_fact + name.min(MAX_THREAD_NAME_BYTES) as u64
    };
    let processes: u64 = definitions.processes.iter().map(of_process).sum();
    processes + definitions.threads.iter().map(of_thread).sum::<u64>()
}

/// A dataset takes whole traces in all of its tables.
fn refuse_parts(args: &ExportArgs) -> Result<(), Mistake> {
    let FilterArgs { events, pids, programs, seq, from, to } = &args.filter;
    let names_some = !events.is_empty() || !pids.is_empty() || !programs.is_empty();
    if names_some || seq.is_some() || from.is_some() || to.is_some() {
        let text = "--dataset takes whole traces; make a part one with tracer cut";
        return Err(Mistake(text.to_owned()));
    }
    let is_drawn = args.drawn.no_probes || args.drawn.by_buffer;
    let is_other = args.format.is_some() || args.table != TableArg::Events || args.safe_csv || is_drawn;
    if is_other {
        let text = "--dataset has all tables, as Parquet: --format, --table, --safe-csv, --no-probes and --by-buffer go with -o";
        return Err(Mistake(text.to_owned()));
    }
    Ok(())
}

/// The format asked for, or the one that the file name says.
fn format(args: &ExportArgs, output: &Path) -> Result<ExportFormat, Mistake> {
    let by_name = |path: &Path| match path.extension()?.to_str()? {
        "json" => Some(ExportFormat::Chrome),
        "pftrace" | "perfetto-trace" => Some(ExportFormat::Perfetto),
        "parquet" => Some(ExportFormat::Parquet),
        "arrow" => Some(ExportFormat::Arrow),
        "csv" => Some(ExportFormat::Csv),
        _ => None,
    };
    let format = args.format.or_else(|| by_name(output)).ok_or_else(|| {
        let name = name(output);
        Mistake(format!(
            "{name}: expected a name that ends with .json, .pftrace, .parquet, .arrow or .csv, or --format such as ctf"
        ))
    })?;
    if args.safe_csv && format != ExportFormat::Csv {
        return Err(Mistake("--safe-csv goes with csv".to_owned()));
    }
    let is_picture = matches!(format, ExportFormat::Chrome | ExportFormat::Perfetto);
    if !is_picture && (args.drawn.no_probes || args.drawn.by_buffer) {
        return Err(Mistake("--no-probes and --by-buffer go with json and pftrace".to_owned()));
    }
    let is_folder = format == ExportFormat::Ctf;
    if (is_picture || is_folder) && args.table != TableArg::Events {
        return Err(Mistake("--table goes with parquet, arrow and csv".to_owned()));
    }
    if is_folder && is_standard(output) {
        return Err(Mistake("ctf is a folder, expected its name instead of -".to_owned()));
    }
    if is_folder && args.stages.is_given() {
        return Err(Mistake(
            "ctf has events, no stages: --stage, --stages and --preset do not go with it".to_owned(),
        ));
    }
    Ok(format)
}

#[cfg(test)]
mod tests {
    use tracer_format::ProcessId;

    use super::*;

    #[test]
    fn names_count_once_for_each_process_and_thread() {
        let process = |program: &str, command: &[&str]| {
            let command = command.iter().map(|&word| word.into()).collect();
            Arc::new(Process { program: program.into(), command, ..Process::default() })
        };
        let definitions = Definitions {
            processes: vec![process("sink", &[]), process(&"x".repeat(4096), &["./x", "-v"])],
            threads: [0, 0, 1].map(|process| Thread { process: ProcessId(process), tid: 1 }).into(),
            ..Definitions::default()
        };
        let facts = 2 * 3 + 3 * 4;
        assert_eq!(name_bytes(&definitions, 0), 4 + 4096 + 4 + 3 + 4 + 4 + 255);
        assert_eq!(name_bytes(&definitions, 10) - name_bytes(&definitions, 0), 10 * facts);
    }
}
