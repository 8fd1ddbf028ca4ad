//! A recording in this process, looked at while it is made.

use std::io::{self, Write};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::anyhow;
use rustix::process::{Signal, getpid, kill_current_process_group, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use tracer_analyzer::Filter;
use tracer_recorder::Notice;

use super::aside::Aside;
use super::shared::{Coming, Shared};
use super::show::Ending;
use super::{check, given, plain, show};
use crate::cli::RecordArgs;
use crate::done::Done;
use crate::file::growing::Growing;
use crate::file::stages;
use crate::recording::{self, Onlooker, Opened};

/// Pieces of the trace that may wait to be looked at; then the recorder keeps them, as for a disk that is slow.
const QUEUE: usize = 256;

/// Records, and shows the stages meanwhile; says at the end what `record` says, and ends as it does.
pub(crate) fn record(args: &RecordArgs) -> anyhow::Result<Done> {
    let look = &args.look;
    check(look)?;
    let shared = Shared::new(given(look, Filter::default(), stages::given(&args.stages)?), None);
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&shared.quit))?;
    }
    let (sender, reads) = sync_channel(QUEUE);
    let taking = Taking { sender: Mutex::new(Some(sender)), shared: &shared };
    let aside = if look.batch {
        None
    } else {
        signal_hook::flag::register(SIGHUP, Arc::clone(&shared.quit))?;
        Some(Aside::begin()?)
    };
    let done = thread::scope(|scope| {
        let _at_end = Quit(&shared);
        let taken = scope.spawn(|| shared.take_all(Growing::of(reads), Coming::Recorded));
        let showing = scope.spawn(|| match &aside {
            None => plain::print(&shared, subject(args), look, &|| end(Ending::Quietly)),
            Some(aside) => show::show(&shared, subject(args), look, aside.terminal()?, &end),
        });
        let done = recording::record(args, &Opened::default(), Some(&taking));
        // Nothing more comes.
        drop(taking);
        if done.is_err() {
            drop(Quit(&shared));
        }
        let taken = taken.join().map_err(|_| anyhow!("what looks at the recording failed"));
        let shown = showing.join().map_err(|_| anyhow!("the screen failed"));
        let done = done?;
        taken??;
        match shown? {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(done),
        }
    });
    drop(aside);
    done
}

/// What is looked at.
fn subject(args: &RecordArgs) -> String {
    match args.command.first() {
        Some(command) => command.to_string_lossy().into_owned(),
        None => "what runs".to_owned(),
    }
}

/// Ends the recording, as the terminal's keys would.
fn end(how: Ending) {
    // It can only fail for a process that is not this one's.
    let _ = match how {
        Ending::Quietly => kill_process(getpid(), Signal::INT),
        Ending::WithAll => kill_current_process_group(Signal::INT),
    };
}

struct Quit<'s>(&'s Shared);

impl Drop for Quit<'_> {
    fn drop(&mut self) {
        self.0.quit.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

/// Hands on what the recorder writes and says.
struct Taking<'s> {
    sender: Mutex<Option<SyncSender<io::Result<Vec<u8>>>>>,
    shared: &'s Shared,
}

impl Onlooker for Taking<'_> {
    fn taker(&self) -> Box<dyn Write + Send> {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
        sender.map_or_else(|| Box::new(io::sink()) as _, |sender| Box::new(Taker(sender)) as _)
    }

    fn notice(&self, notice: &Notice<'_>) {
        if let Notice::Problem(text) = notice {
            self.shared.say((*text).to_owned());
        }
    }
}

struct Taker(SyncSender<io::Result<Vec<u8>>>);

impl Write for Taker {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // If nothing looks any more, the recording goes on.
        let _ = self.0.send(Ok(bytes.to_vec()));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
