//! A recording as the command line asks for it: options for the recorder, files, what it says on the way and at the end.

mod files;
mod options;
mod rate;
mod ready;
mod screen;
mod summary;
mod when;

use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;
use tracer_format::{Columns, Definitions, Site};
use tracer_recorder::Notice;

use crate::cli::{Mistake, RecordArgs};
use crate::done::Done;
use crate::file::input::{self, is_standard};
use crate::file::output::Output;
use crate::file::stages;
pub(crate) use files::Opened;
use ready::Ready;
use screen::Screen;
use when::Watcher;

/// What looks on while a recording is made, in another thread.
pub(crate) trait Onlooker {
    /// What takes the bytes of the trace, beside the file, if it is kept in one.
    fn taker(&self) -> Box<dyn Write + Send>;

    /// What the recorder says.
    fn notice(&self, notice: &Notice<'_>);
}

/// Records into a trace, and says what came of it; `opened` will know the files.
pub(crate) fn record(
    args: &RecordArgs,
    opened: &Opened,
    onlooker: Option<&dyn Onlooker>,
) -> anyhow::Result<Done> {
    if args.print && is_standard(&args.output) {
        return Err(Mistake("--print and -o - both want standard output; give -o a file".to_owned()).into());
    }
    if (args.rotate.is_some() || args.last.is_some()) && is_standard(&args.output) {
        return Err(Mistake("--rotate and --last write files; give -o a file name".to_owned()).into());
    }
    let ready = args.ready_fd.map(Ready::take).transpose()?;
    let options = options::options(args)?;
    let given = stages::given(&args.stages)?;
    let stages = given.iter().map(Into::into).collect();
    let watcher = args.when.clone().map(|when| Watcher::new(when, given.clone()));
    let fired = watcher.as_ref().map(Watcher::fired);
    let inputs: Vec<&Path> = args.stages.stages_file.as_deref().into_iter().collect();
    let is_kept = onlooker.is_none() || !is_standard(&args.output);
    // A file that is in the way is told now, not when the first event comes.
    let first = is_kept.then(|| Output::create(&args.output, args.force, &inputs)).transpose()?;
    let first = first.map(|first| first.synced(args.sync));
    let placing = first.as_ref().map(Output::placing);
    let files = first.map(|first| files::files(args, first, opened.clone()));
    let output = tracer_recorder::Output {
        // What a command starts, and what is waited for, may have any probe.
        accept: (args.command.is_empty() && !args.wait).then(|| {
            Box::new(|sites: &[Site]| {
                stages::known(&args.stages.stages, sites)?;
                args.when.as_ref().map_or(Ok(()), |when| when::accept(when, &given, sites))
            }) as _
        }),
        open: files::seen(files, onlooker.map(Onlooker::taker)),
        print: args.print.then(|| Box::new(io::stdout()) as Box<dyn Write + Send>),
        watch: watcher.map(|mut watcher| {
            Box::new(move |definitions: &Definitions, columns: &Columns| watcher.watch(definitions, columns))
                as _
        }),
        stages,
        flush: args.flush.0,
        spool_bytes: options::spool_bytes(args),
        bounds: options::bounds(args),
    };
    let mut screen = Screen::new(args, ready);
    let result = tracer_recorder::record(&options, output, &mut |notice| {
        if let (Notice::Ready { .. }, Some(placing), None) = (&notice, &placing, args.last) {
            placing.place();
        }
        screen.show(&notice);
        if let Some(onlooker) = onlooker {
            onlooker.notice(&notice);
        }
    });
    screen.bar.finish_and_clear();
    let summary = result.with_context(|| format!("cannot record to {}", input::name(&args.output)))?;
    if !args.quiet {
        summary::say(args, &summary, opened);
        if let (Some(when), Some(fired)) = (&args.when, &fired) {
            summary::say_fired(when, fired, opened);
        }
    } else if summary.lost > 0 {
        say!("{} events lost, {} recorded", summary.lost, summary.events);
    }
    let lacks_events = summary::lacks_events(args, &summary, opened);
    let done = match summary::done(&summary) {
        Done::Command(code) => Done::Command(code),
        _ if lacks_events || screen.is_ready_untold => Done::Failed,
        done => done,
    };
    // As in the recorder: they know every site.
    std::mem::forget((screen, summary));
    Ok(done)
}
