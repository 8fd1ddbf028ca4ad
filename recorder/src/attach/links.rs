//! The links of a recording, by file. Helpers attach and detach: the kernel may have to wait for a file that does not answer.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};

use crate::attach::attempt::{self, AttachedSites, Refusal};
use crate::attach::closing::{Detaching, Undetached};
use crate::attach::written::Written;
use crate::error::Result;
use crate::find::facts::{Facts, FileId};
use crate::host::helper::channel::{Channel, MAX_FDS};
use crate::host::helper::process::{Helper, NoAnswer};
use crate::host::helper::wire::{from_bytes, to_bytes};
use crate::host::{monotonic_ns, process};
use crate::kernel::link::{self, AttachMode, Link, Place};
use crate::kernel::program::Program;

/// How long a helper that attaches or detaches may sleep.
const PATIENCE: Duration = Duration::from_secs(2);
/// Why a file is not attached to that a process keeps from it.
const UNATTACHED: &str = "attaching did not come to an end in 2 s: a file system does not answer, or a process that maps it keeps its \
                          memory locked";
const KILLED: &str = "the process that attaches (tracer-attacher) was killed";
const SHORT: &str = "descriptors are short (see ulimit -n)";
/// How long the end waits for links to close, at least.
const LAST_PATIENCE: Duration = Duration::from_millis(100);
/// Processes that have a link of their own, at most: each adds a little to every firing of the others.
const MAX_FILTERED: usize = 16;
/// Files that stay attached to although no process maps them, so that their next process is recorded from its first
/// instruction. Fewer where descriptors are scarce.
const MAX_IDLE: u64 = 256;

/// The links of a recording, by file.
#[derive(Debug)]
pub(crate) struct Links {
    program: Arc<Program>,
    mode: AttachMode,
    /// The only processes to attach to, where the kernel can restrict links; empty for all.
    pids: Vec<u32>,
    by_file: HashMap<FileId, AttachedFile>,
    /// Files that may be idle.
    max_idle: usize,
    /// Files that were attached to after the last [`release`](Self::release).
    kept: usize,
    /// Files that were not attached to because descriptors were short.
    short: Vec<FileId>,
    closing: Detaching,
    /// A process that was to detach, and has not.
    stuck: Option<Undetached>,
    /// Tells when a file is written to.
    written: Option<Arc<Written>>,
}

/// What came of attaching to a file.
#[derive(Debug)]
pub(crate) struct AttachOutcome {
    /// The sites that are not recorded or not whole.
    pub(crate) refusals: Vec<Refusal>,
    /// What the system said of it when it was already watched, unless it was written to since or cannot be watched.
    pub(crate) watched: Option<Facts>,
}

#[derive(Debug)]
struct AttachedFile {
    links: Vec<Link>,
    /// Since when it is attached to: CLOCK_MONOTONIC.
    since_ns: u64,
    /// When a process that maps it was last seen, or may have begun to.
    mapped: Instant,
}

impl Links {
    /// Links for all processes, or for `pids` only if there are any and the kernel can restrict links.
    pub(crate) fn new(
        program: Arc<Program>,
        mode: AttachMode,
        pids: Vec<u32>,
        written: Option<Arc<Written>>,
    ) -> Self {
        let descriptors = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        let max_idle = usize::try_from(MAX_IDLE.min(descriptors / 8)).unwrap_or(usize::MAX);
        Self {
            program,
            mode,
            pids,
            by_file: HashMap::new(),
            max_idle,
            kept: 0,
            short: Vec::new(),
            closing: Detaching::default(),
            stuck: None,
            written,
        }
    }

    /// Attaches to files, each instead of what it was attached to before, and watches them. Tells for each, in order, what came of it,
    /// or why there is nothing.
    pub(crate) fn attach(
        &mut self,
        files: &[(FileId, BorrowedFd<'_>, &[Place])],
        told: &mut dyn FnMut(usize, std::result::Result<AttachOutcome, String>),
    ) {
        let old = files.iter().filter_map(|(file, ..)| self.by_file.remove(file));
        self.closing.begin(old.flat_map(|file| file.links).collect());
        self.wait();
        self.written.iter().for_each(|written| written.begin());
        let mut done = 0;
        while done < files.len() {
            let mut helper = self.attacher(&files[done..]);
            for (index, (file, ..)) in files.iter().enumerate().skip(done) {
                done = index + 1;
                let attached = helper.as_mut().map_err(|error| no_helper(error)).and_then(receive);
                let is_over = attached.is_err();
                if attached.as_ref().is_err_and(|reason| reason == SHORT) {
                    self.short.push(*file);
                }
                let attached = attached.map(|(AttachedSites { links, refusals }, watch)| {
                    self.by_file.insert(
                        *file,
                        AttachedFile { links, since_ns: monotonic_ns(), mapped: Instant::now() },
                    );
                    AttachOutcome { refusals, watched: watch.and_then(|watch| self.watched(*file, watch)) }
                });
                told(index, attached);
                if is_over {
                    // Another helper for the rest. This one detaches again if it comes to an end.
                    helper.into_iter().for_each(Helper::leave);
                    break;
                }
            }
        }
    }

    /// Since when a file is attached to, if it is: CLOCK_MONOTONIC, ns.
    pub(crate) fn since(&self, file: FileId) -> Option<u64> {
        self.by_file.get(&file).map(|attached| attached.since_ns)
    }

    /// What the system said of a file when it was watched, unless it was written to since.
    fn watched(&self, file: FileId, (number, facts): WatchedFile) -> Option<Facts> {
        self.written.as_ref().is_some_and(|written| written.call(number, file)).then_some(facts)
    }

    /// A helper that attaches to these files, watches them and sends what comes of it.
    fn attacher(&self, files: &[(FileId, BorrowedFd<'_>, &[Place])]) -> io::Result<Helper> {
        let mut kept: Vec<BorrowedFd<'_>> = files.iter().map(|(_, file, _)| *file).collect();
        let mut places = files.iter().flat_map(|(.., places)| places.iter());
        let is_of_memory = places.any(|place| self.program.sites.is_of_memory(place.site));
        kept.extend(self.program.variants.attachable(link::is_multi(&self.program, self.mode), is_of_memory));
        kept.extend(self.written.iter().map(|written| written.as_fd()));
        let pids = self.filtered();
        let attach_all = |channel: Channel| {
            for (_, file, places) in files {
                let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
                let attached = attempt::attach(&self.program, self.mode, pids, &path, places);
                // Watched first: a change before the look shows in it, one after it is told.
                let number = self.written.as_ref().and_then(|written| written.watch(file).ok());
                let watch = number.and_then(|number| {
                    let facts = std::fs::metadata(&path).ok()?;
                    Some((number, Facts::of(&facts)))
                });
                if send(&channel, attached, watch).is_err() {
                    return;
                }
            }
        };
        Helper::start(c"tracer-attacher", &kept, attach_all)
    }

    /// Detaches from a file; false if it was not attached to.
    pub(crate) fn remove(&mut self, file: &FileId) -> bool {
        let Some(AttachedFile { links, .. }) = self.by_file.remove(file) else { return false };
        let was_attached = !links.is_empty();
        self.closing.begin(links);
        self.wait();
        was_attached
    }

    /// From now on attaches for all processes, also where only some are recorded: the kernel knows a process by its first thread,
    /// and does not find the thread that takes its place at exec. Gives the files that were detached from, which are to be attached to
    /// again.
    pub(crate) fn widen(&mut self) -> Vec<FileId> {
        if self.filtered().is_none() {
            return Vec::new();
        }
        self.pids.clear();
        let (files, attached): (Vec<FileId>, Vec<AttachedFile>) = self.by_file.drain().unzip();
        self.closing.begin(attached.into_iter().flat_map(|file| file.links).collect());
        self.wait();
        files
    }

    /// Waits until what is closed is detached.
    fn wait(&mut self) {
        self.stuck = self.closing.wait(PATIENCE).or(self.stuck);
    }

    /// A process that was to detach and has not, since this was last asked.
    pub(crate) fn take_stuck(&mut self) -> Option<Undetached> {
        self.stuck.take()
    }

    /// Files that were not attached to since this was last asked, because descriptors were short.
    pub(crate) fn take_short(&mut self) -> Vec<FileId> {
        std::mem::take(&mut self.short)
    }

    /// Whether it is time for [`release`](Self::release): as many files were attached to since the last time as may be idle.
    pub(crate) fn is_crowded(&self) -> bool {
        self.by_file.len() >= self.kept + self.max_idle
    }

    /// Detaches from the files that no process has mapped for the longest time, if there are many of them, or if descriptors are short:
    /// then from half of them. `mapped` are those that processes map now. Gives the files that were detached from.
    pub(crate) fn release(&mut self, mapped: &BTreeSet<FileId>, is_short: bool) -> Vec<FileId> {
        let now = Instant::now();
        let mut idle = Vec::new();
        for (file, attached) in &mut self.by_file {
            if mapped.contains(file) {
                attached.mapped = now;
            } else {
                idle.push((attached.mapped, *file));
            }
        }
        idle.sort_unstable();
        let stay = if is_short { self.max_idle.min(idle.len() / 2) } else { self.max_idle };
        idle.truncate(idle.len().saturating_sub(stay));
        let files: Vec<FileId> = idle.into_iter().map(|(_, file)| file).collect();
        let links: Vec<Link> =
            files.iter().filter_map(|file| self.by_file.remove(file)).flat_map(|file| file.links).collect();
        self.kept = self.by_file.len();
        // In the background, because closing is slow and new programs must not wait for it.
        self.closing.begin(links);
        files
    }

    /// Detaches from all files, and waits for that until then, or a little longer. Gives the process that was to do so, if it has not.
    pub(crate) fn end(&mut self, latest: Instant) -> Option<Undetached> {
        self.closing.begin(self.by_file.drain().flat_map(|(_, file)| file.links).collect());
        self.closing.wait_until(latest.max(Instant::now() + LAST_PATIENCE))
    }

    /// Whether process `pid` gets breakpoints where it maps a file that is attached to.
    pub(crate) fn reach(&self, pid: u32) -> bool {
        self.filtered().is_none_or(|pids| pids.contains(&pid))
    }

    /// The processes to attach to alone. All others are as if nothing was attached: no breakpoint, no semaphore.
    fn filtered(&self) -> Option<&[u32]> {
        let is_possible = !self.pids.is_empty()
            && self.pids.len() <= MAX_FILTERED
            && link::can_filter(&self.program, self.mode)
            // The kernel knows a process by its main thread.
            && !self.pids.iter().any(|pid| process::has_lost_main_thread(*pid));
        is_possible.then_some(&self.pids)
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        if !self.by_file.is_empty() {
            let _ = self.end(Instant::now());
        }
    }
}

/// How many descriptors a link has, and whether it is one for many sites.
type LinkForm = (bool, u64);
/// The number of the watch of a file, and what the system said of the file then.
type WatchedFile = (i32, Facts);
/// Forms of links and refusals, as bytes, and the watch.
type AttachAnswer = std::result::Result<((Vec<u8>, Vec<u8>), Option<WatchedFile>), String>;

/// Sends what came of attaching to a file, and the links' descriptors.
fn send(channel: &Channel, attached: Result<AttachedSites>, watch: Option<WatchedFile>) -> io::Result<()> {
    let AttachedSites { links, refusals } = match attached {
        Ok(attached) => attached,
        Err(error) => return channel.send(&to_bytes::<AttachAnswer>(&Err(error.to_string())), &[]),
    };
    let form = |link: &Link| (link.mode == AttachMode::Multi, link.fds().len() as u64);
    let forms: Vec<LinkForm> = links.iter().map(form).collect();
    channel.send(&to_bytes::<AttachAnswer>(&Ok(((to_bytes(&forms), to_bytes(&refusals)), watch))), &[])?;
    let fds: Vec<BorrowedFd<'_>> = links.iter().flat_map(|link| link.fds().iter().map(AsFd::as_fd)).collect();
    fds.chunks(MAX_FDS).try_for_each(|part| channel.send(&[], part))
}

/// Why there is no helper that attaches.
fn no_helper(error: &io::Error) -> String {
    let is_short = [Some(libc::EMFILE), Some(libc::ENFILE)].contains(&error.raw_os_error());
    if is_short { SHORT.to_owned() } else { error.to_string() }
}

/// Receives it.
///
/// # Errors
/// Why the file is not attached to.
fn receive(helper: &mut Helper) -> std::result::Result<(AttachedSites, Option<WatchedFile>), String> {
    const BROKEN: &str = "the process that attaches says what it cannot have said";
    let why = |answer| if answer == NoAnswer::Gone { KILLED } else { UNATTACHED };
    let mut receive = || helper.receive_within(PATIENCE).map_err(|answer| why(answer).to_owned());
    // Descriptors may come with any message before or of their own.
    let (body, mut fds) = receive()?;
    let ((forms, refusals), watch) = from_bytes::<AttachAnswer>(&body).ok_or(BROKEN)??;
    let forms: Vec<LinkForm> = from_bytes(&forms).ok_or(BROKEN)?;
    let count: u64 = forms.iter().map(|(_, count)| count).sum();
    for _ in 0..count.div_ceil(MAX_FDS as u64) {
        fds.extend(receive()?.1);
    }
    if fds.len() as u64 != count {
        return Err(SHORT.to_owned());
    }
    let mut fds = fds.into_iter();
    let mut attached = AttachedSites { links: Vec::new(), refusals: from_bytes(&refusals).ok_or(BROKEN)? };
    for (is_multi, count) in forms {
        let fds: Vec<OwnedFd> = fds.by_ref().take(usize::try_from(count).unwrap_or(0)).collect();
        let mode = if is_multi { AttachMode::Multi } else { AttachMode::Perf };
        attached.links.push(Link::of(fds, mode));
    }
    Ok((attached, watch))
}
