//! The threads that look for programs that begin meanwhile: two are told of them, one looks and attaches.

use std::sync::OnceLock;
use std::sync::mpsc::Sender;

use rustix::process::Pid;
use rustix::thread::gettid;
use tracer_format::{Skipped, SkippedKind};

use super::{News, Step};
use crate::attach::finder::{Finder, Tip};
use crate::attach::hold::{Holder, Told};
use crate::attach::lookout::Lookout;
use crate::drain::lane::Lanes;
use crate::drain::queue::Queue;
use crate::error::Result;
use crate::host::capability;
use crate::run::stuck;
use crate::site::plan::PlannedSite;
use crate::write::progress::{Ending, Progress};

/// The listening thread: hands on the processes that wait, until the holder is stopped.
pub(super) fn listen(holder: &Holder, tips: &Queue<Tip>, skip: &dyn Fn(Skipped)) {
    capability::keep(capability::LOOKING);
    let result = holder.listen(&mut |told| {
        // A process that waits is not to wait for what others have mapped. One that cannot be handed on runs its program.
        let is_waiting = matches!(told, Told::Held(_));
        let tip = Tip::Told(told);
        let _ = if is_waiting { tips.push_urgent(tip) } else { tips.push(tip) };
    });
    if let Err(error) = result {
        let reason = format!(
            "not held any more until their probes are attached: {error}: what they fire first may be missing"
        );
        skip(Skipped { kind: SkippedKind::Processes, reason, ..Skipped::default() });
    }
}

/// The watching thread: hands on what processes map, until it is stopped.
pub(super) fn watch_on(lookout: &Lookout, tips: &Queue<Tip>) {
    capability::keep(capability::LOOKING);
    lookout.listen(&mut |news| {
        let _ = tips.push(Tip::Seen(news));
    });
}

/// Tells the trace and the user of something that is not recorded.
pub(super) fn say_skipped(skipped: Skipped, steps: &Queue<Step>, say: &Sender<News>) {
    let _ = steps.push(Step::Skipped(skipped.clone()));
    let _ = say.send(News::Skipped(skipped));
}

/// The looking thread.
pub(super) struct Looking<'a> {
    pub(super) finder: Finder,
    pub(super) tips: &'a Queue<Tip>,
    pub(super) steps: &'a Queue<Step>,
    pub(super) say: Sender<News>,
    pub(super) progress: &'a Progress,
    pub(super) lanes: Lanes,
}

impl Looking<'_> {
    /// Looks until the tips are closed; tells which thread does. Gives what is attached.
    pub(super) fn look(self, thread: &OnceLock<Pid>) -> Result<Finder> {
        let _ = thread.set(gettid());
        let Self { mut finder, tips, steps, say, progress, lanes } = self;
        capability::keep(capability::ATTACHING);
        // The steps are closed only when the recording has ended.
        let mut announce = |sites: &[PlannedSite]| {
            let _ = steps.push(Step::Sites(sites.to_vec()));
            let _ = say.send(News::Found(sites.iter().map(|site| site.site.clone()).collect()));
        };
        let mut skip = |skipped| say_skipped(skipped, steps, &say);
        let result = finder.keep_looking(tips, &mut announce, &mut skip);
        // After an error, processes that wait run their programs.
        tips.close();
        while tips.pop().is_some() {}
        if result.is_err() {
            // A recording does not continue without this thread.
            progress.end(Ending::Enough);
        }
        stuck::at_end(&lanes).into_iter().for_each(skip);
        result.map(|()| finder)
    }
}
