//! `tracer record`: options for the recorder, and what it says on the way.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use tracer_format::log::LogWriter;
use tracer_format::{Columns, Definitions, Site};
use tracer_recorder::find::discover::Filter;
use tracer_recorder::find::pattern;
use tracer_recorder::kernel::link::AttachMode;
use tracer_recorder::run::user::User;
use tracer_recorder::write::sink::Open;
use tracer_recorder::{Bounds, Error, Flight, Notice, RecordOptions, Summary};

use crate::Done;
use crate::cli::{AttachArg, RecordArgs, Usage};
use crate::export;
use crate::input::is_standard;
use crate::output::Output;
use crate::quantity::Rotate;
use crate::read;
use crate::say;
use crate::when::Watcher;

pub(crate) fn record(mut args: Box<RecordArgs>) -> anyhow::Result<Done> {
    if args.output.extension().is_none_or(|extension| extension != "parquet") {
        return record_trace(&args);
    }
    if args.rotate.is_some() || args.last.is_some() {
        return Err(Usage(
            "--rotate and --last write traces; give -o a name that ends with .trace".to_owned(),
        )
        .into());
    }
    // A Parquet file without its end is lost, so a trace is recorded, and converted once it is complete.
    let table = Output::create(&args.output, args.force)?;
    let made = table.made();
    let journal = args.output.with_extension("parquet.trace");
    let target = std::mem::replace(&mut args.output, journal);
    args.force = true;
    let journal = &args.output;
    let result = record_trace(&args).and_then(|done| {
        export::to_parquet(journal, table).with_context(|| {
            format!(
                "cannot write {}; {} has the recording, see tracer export",
                target.display(),
                journal.display()
            )
        })?;
        Ok(done)
    });
    if result.is_ok() {
        std::fs::remove_file(journal).with_context(|| format!("cannot remove {}", journal.display()))?;
    } else if let Some(made) = made {
        // Half a table would be taken for a whole one.
        let _ = std::fs::remove_file(made);
    }
    result
}

fn record_trace(args: &RecordArgs) -> anyhow::Result<Done> {
    if args.print && is_standard(&args.output) {
        return Err(Usage("--print and -o - both want standard output; give -o a file".to_owned()).into());
    }
    if (args.rotate.is_some() || args.last.is_some()) && is_standard(&args.output) {
        return Err(Usage("--rotate and --last write files; give -o a file name".to_owned()).into());
    }
    let options = options(args)?;
    let given = read::given_stages(&args.stages)?;
    let stages = given.iter().map(|draft| (&draft.stage).into()).collect();
    let watcher = args.when.clone().map(|when| Watcher::new(when, given));
    let seen = watcher.as_ref().map(Watcher::seen);
    // A file that is in the way is told now, not when the first event comes.
    let first = Output::create(&args.output, args.force)?.synced(args.sync);
    let made = first.made();
    let output = tracer_recorder::Output {
        open: files(args, first),
        print: args.print.then(|| Box::new(io::stdout()) as Box<dyn Write + Send>),
        watch: watcher.map(|mut watcher| {
            Box::new(move |definitions: &Definitions, columns: &Columns| watcher.watch(definitions, columns))
                as _
        }),
        stages,
        flush: args.flush.0,
        bounds: bounds(args),
    };
    let mut screen = Screen::new(args);
    let result = tracer_recorder::record(&options, output, &mut |notice| screen.show(&notice));
    screen.bar.finish_and_clear();
    if seen.is_some_and(|seen| !seen.load(Ordering::Relaxed)) && result.is_ok() {
        say!("--when: the stage was never seen; tracer analyze shows those there are, --stage gives one");
    }
    match result {
        Ok(summary) => {
            if !args.quiet {
                sum_up(args, &summary);
            }
            Ok(done(&summary))
        }
        Err(error) => {
            // A trace that could not be finished is kept; one that was never begun is not.
            if !matches!(error, Error::Trace(_))
                && !screen.ready
                && let Some(made) = made
            {
                let _ = std::fs::remove_file(made);
            }
            Err(error).with_context(|| format!("cannot record to {}", args.output.display()))
        }
    }
}

/// Opens the files of a recording: the first is there already, later ones have a number.
fn files<'a>(args: &RecordArgs, first: Output) -> Open<'a> {
    let (path, force, sync, keep) = (args.output.clone(), args.force, args.sync, args.keep);
    let mut first = Some(first);
    Box::new(move |part| {
        let output = match first.take() {
            Some(output) => output,
            None => Output::create(&numbered(&path, part), force).map_err(io::Error::other)?.synced(sync),
        };
        if let Some(old) = keep.and_then(|keep| part.checked_sub(keep)) {
            // Somebody may have taken it away already.
            let _ = std::fs::remove_file(numbered(&path, old));
        }
        Ok(Box::new(output) as Box<dyn Write + Send>)
    })
}

/// `run.trace`, `run.1.trace`, `run.2.trace` and so on.
fn numbered(path: &Path, part: u32) -> PathBuf {
    if part == 0 {
        return path.to_owned();
    }
    match path.extension() {
        Some(extension) => path.with_extension(format!("{part}.{}", extension.to_string_lossy())),
        None => path.with_extension(part.to_string()),
    }
}

fn bounds(args: &RecordArgs) -> Bounds {
    let (rotate_bytes, rotate_after) = match args.rotate {
        Some(Rotate::Size(bytes)) => (Some(bytes), None),
        Some(Rotate::Time(time)) => (None, Some(time)),
        None => (None, None),
    };
    let max_bytes = usize::try_from(args.memory.0).unwrap_or(usize::MAX);
    Bounds {
        max_bytes: args.max_size.map(|size| size.0),
        max_events: args.max_events,
        rotate_bytes,
        rotate_after,
        flight: args.last.map(|last| Flight { last: last.0, max_bytes }),
    }
}

fn options(args: &RecordArgs) -> anyhow::Result<RecordOptions> {
    let usage = |error: Error| Usage(error.to_string());
    let requests: Result<_, _> = args.events.iter().map(|text| text.parse()).collect();
    let keys: Result<_, _> = args.keys.iter().map(|text| text.parse()).collect();
    let programs: Result<_, _> = args.programs.iter().map(|text| pattern::program(text)).collect();
    let ring_size = args.ring_size.map_or_else(default_ring_size, |size| size.0);
    let ring_bytes = u32::try_from(ring_size).unwrap_or(u32::MAX);
    if !ring_bytes.is_power_of_two() || ring_bytes < 4096 {
        let found = ring_size;
        return Err(Usage(format!("--ring-size {found}: expected a power of two from 4K to 2G")).into());
    }
    Ok(RecordOptions {
        filter: Filter {
            requests: requests.map_err(usage)?,
            pids: args.pids.clone(),
            programs: programs.map_err(usage)?,
        },
        keys: keys.map_err(usage)?,
        attach: match args.attach {
            AttachArg::Auto => AttachMode::Auto,
            AttachArg::Multi => AttachMode::Multi,
            AttachArg::Perf => AttachMode::Perf,
        },
        ring_bytes,
        duration: args.duration.map(|time| time.0),
        command: args.command.clone(),
        everyone: args.all,
        user: args.user.as_deref().map(User::find).transpose()?,
        wait: args.wait,
        command_line: std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect(),
    })
}

/// 4 MiB for each processor, less on machines with many of them: together they take no more than 256 MiB.
fn default_ring_size() -> u64 {
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    let most = (256 << 20) / cpus.next_power_of_two();
    most.clamp(256 << 10, 4 << 20)
}

/// What the user sees while recording, on standard error.
struct Screen {
    bar: ProgressBar,
    quiet: bool,
    print: bool,
    ready: bool,
    ready_fd: Option<u32>,
    log: LogWriter,
    definitions: Definitions,
}

impl Screen {
    fn new(args: &RecordArgs) -> Self {
        let bar = if args.quiet || args.print && io::stdout().is_terminal() || !io::stderr().is_terminal() {
            ProgressBar::hidden()
        } else {
            ProgressBar::new_spinner()
        };
        let style = ProgressStyle::with_template("{spinner} {elapsed} {msg}");
        bar.set_style(style.expect("a constant template"));
        Self {
            bar,
            quiet: args.quiet,
            print: args.print,
            ready: false,
            ready_fd: args.ready_fd,
            log: LogWriter::new(),
            definitions: Definitions::default(),
        }
    }

    fn show(&mut self, notice: &Notice<'_>) {
        match *notice {
            Notice::Problem(text) => self.line(&format!("tracer: {text}")),
            Notice::Found(sites) => self.found(sites),
            Notice::Ready { probes } => {
                self.ready = true;
                self.line(&format!("tracer: recording, PID {}, {probes} probes", std::process::id()));
                if let Some(fd) = self.ready_fd
                    && let Err(error) = tell_ready(fd)
                {
                    self.line(&format!("tracer: cannot write to --ready-fd {fd}: {error}"));
                }
            }
            Notice::Progress { events, lost, bytes } => {
                let seconds = self.bar.elapsed().as_secs_f64().max(0.001);
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a rate to look at"
                )]
                let rate = (events as f64 / seconds) as u64;
                let (events, lost, rate) = (HumanCount(events), HumanCount(lost), HumanCount(rate));
                self.bar
                    .set_message(format!("{events} events, {rate}/s, {lost} lost, {}", HumanBytes(bytes)));
                self.bar.tick();
            }
        }
    }

    /// The log's header, and later what was found meanwhile; with --print all that is on standard output.
    fn found(&mut self, sites: &[Site]) {
        if self.print {
            return;
        }
        self.definitions.sites.extend_from_slice(sites);
        let mut lines = Vec::new();
        if self.ready {
            self.log.announce(&self.definitions, &mut lines);
        } else {
            self.log.header(&self.definitions, &mut lines);
        }
        self.line(String::from_utf8_lossy(&lines).trim_end());
    }

    fn line(&self, text: &str) {
        if !self.quiet && !text.is_empty() {
            self.bar.suspend(|| say::line(text));
        }
    }
}

/// Writes a byte to the descriptor that a script gave us.
fn tell_ready(fd: u32) -> io::Result<()> {
    File::options().write(true).open(format!("/proc/self/fd/{fd}"))?.write_all(b"\n")
}

fn sum_up(args: &RecordArgs, summary: &Summary) {
    let name =
        if is_standard(&args.output) { "standard output".into() } else { args.output.display().to_string() };
    let per_event = if summary.events == 0 { 0.0 } else { summary.bytes as f64 / summary.events as f64 };
    say!(
        "{name}: {} events, {} lost, {}, {} bytes ({per_event:.2} B/event)",
        summary.events,
        summary.lost,
        seconds(summary.duration),
        summary.bytes,
    );
    if summary.malformed > 0 {
        say!("{} raw events contradicted themselves and were left out", summary.malformed);
    }
    if summary.lost_processes > 0 {
        say!(
            "{} begins and ends of processes were lost: a reused process id may stand for two processes",
            summary.lost_processes
        );
    }
    if summary.sites.is_empty() {
        let others = if args.all { "" } else { "; -a records every process" };
        say!("no matching probe was found: the command and its children have none{others}; see tracer list");
    }
    let silent: Vec<_> = summary.sites.iter().filter(|site| site.recorded + site.lost == 0).collect();
    let fired =
        |name: &str| summary.sites.iter().any(|site| site.name == name && site.recorded + site.lost > 0);
    let mut names: Vec<_> = silent.iter().map(|site| &site.name[..]).filter(|name| !fired(name)).collect();
    names.sort_unstable();
    names.dedup();
    if !names.is_empty() {
        say!("never fired: {}", names.join(", "));
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

fn done(summary: &Summary) -> Done {
    if let Some(status) = summary.command
        && !status.success()
    {
        let code = status.code().or_else(|| {
            use std::os::unix::process::ExitStatusExt;
            status.signal().map(|signal| 128 + signal)
        });
        return Done::Command(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1));
    }
    if summary.lost > 0 || summary.malformed > 0 || summary.lost_processes > 0 {
        Done::Lossy
    } else {
        Done::All
    }
}
