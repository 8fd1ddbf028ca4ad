//! The links of a recording. A site that the kernel refuses does not cost the other sites of its file.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use rustix::process::{Resource, getrlimit};

use crate::error::{Error, Result};
use crate::find::known::FileId;
use crate::host::process;
use crate::kernel::link::{self, AttachMode, Link, Place};
use crate::kernel::program::Program;

/// Processes that have a link of their own, at most: each adds a little to every firing of the others.
const MAX_FILTERED: usize = 16;
/// After so many refused sites and none attached, the rest of the file counts as refused.
const MAX_HOPELESS: usize = 32;
/// Threads that detach at a time: closing a link takes 25 to 50 ms, nearly all of it waiting.
const DETACHING: usize = 256;

/// Files that stay attached to although no process maps them, so that their next process is recorded from its first
/// instruction. Fewer where descriptors are scarce.
const MAX_IDLE: u64 = 256;

/// A site that is not recorded, or not whole.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// Index among the places that were to be attached to.
    pub(crate) place: usize,
    pub(crate) reason: Reason,
}

/// Why a site is not recorded, or not whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Reason {
    /// The kernel refuses it, even alone.
    #[error("the kernel refuses to attach: {0}")]
    Refused(io::Error),
    /// It is attached, but its semaphore is not raised: what the program fires only while it is raised is missed.
    #[error("attached without its semaphore: {0}; what is fired only while it is raised is missed")]
    Lowered(Cause),
}

/// Why a semaphore is not raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Cause {
    /// The kernel counts in whole words of two bytes.
    #[error("it is at an odd address, where the kernel raises none")]
    Odd,
    /// The kernel raises one semaphore for an address, and this is another probe's.
    #[error("another probe at the same address (identical code folding) has one as well")]
    Folded,
    /// The kernel has a breakpoint there already that goes with another semaphore, or none.
    #[error("another tool has attached there without it")]
    Foreign,
}

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
    /// Threads that close links of idle files.
    closing: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct AttachedFile {
    links: Vec<Link>,
    /// When a process that maps it was last seen, or may have begun to.
    mapped: Instant,
}

impl Links {
    /// Links for all processes, or for `pids` only if there are any and the kernel can restrict links.
    pub(crate) fn new(program: Arc<Program>, mode: AttachMode, pids: Vec<u32>) -> Self {
        let descriptors = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        let max_idle = usize::try_from(MAX_IDLE.min(descriptors / 8)).unwrap_or(usize::MAX);
        Self { program, mode, pids, by_file: HashMap::new(), max_idle, kept: 0, closing: Vec::new() }
    }

    /// Attaches to `places` of the file at `path`, instead of what the file was attached to before. Gives the sites that
    /// are not recorded or not whole.
    ///
    /// # Errors
    /// If attaching is impossible as such. A refused site is not an error but a refusal.
    pub(crate) fn attach(&mut self, file: FileId, path: &Path, places: &[Place]) -> Result<Vec<Refusal>> {
        self.remove(&file);
        let (places, mut refusals) = agreed(places);
        let mut links = Vec::new();
        match self.filtered() {
            None => {
                Attempt {
                    links: &mut links,
                    refusals: &mut refusals,
                    path,
                    hopeless: 0,
                    attached: 0,
                    pid: None,
                }
                .attach(self, &places, 0)?;
            }
            Some(pids) => {
                let before = refusals.len();
                for &pid in pids {
                    // Each refuses the same sites.
                    refusals.truncate(before);
                    Attempt {
                        links: &mut links,
                        refusals: &mut refusals,
                        path,
                        hopeless: 0,
                        attached: 0,
                        pid: Some(pid),
                    }
                    .attach(self, &places, 0)?;
                }
            }
        }
        refusals.sort_by_key(|refusal| refusal.place);
        self.by_file.insert(file, AttachedFile { links, mapped: Instant::now() });
        Ok(refusals)
    }

    /// Detaches from a file; false if it was not attached to.
    pub(crate) fn remove(&mut self, file: &FileId) -> bool {
        self.by_file.remove(file).is_some_and(|attached| !attached.links.is_empty())
    }

    /// From now on attaches for all processes, also where only some are recorded: the kernel knows a process by its first thread,
    /// and does not find the thread that takes its place at exec. Gives the files that were detached from, which are to be attached to
    /// again.
    pub(crate) fn widen(&mut self) -> Vec<FileId> {
        if self.filtered().is_none() {
            return Vec::new();
        }
        self.pids.clear();
        self.by_file.drain().map(|(file, _)| file).collect()
    }

    /// Whether it is time for [`release`](Self::release): as many files were attached to since the last time as may be idle.
    pub(crate) fn is_crowded(&self) -> bool {
        self.by_file.len() >= self.kept + self.max_idle
    }

    /// Detaches from the files that no process has mapped for the longest time, if there are many of them. `mapped` are those
    /// that processes map now. Gives the files that were detached from.
    pub(crate) fn release(&mut self, mapped: &BTreeSet<FileId>) -> Vec<FileId> {
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
        idle.truncate(idle.len().saturating_sub(self.max_idle));
        let files: Vec<FileId> = idle.into_iter().map(|(_, file)| file).collect();
        let links: Vec<Link> =
            files.iter().filter_map(|file| self.by_file.remove(file)).flat_map(|file| file.links).collect();
        self.kept = self.by_file.len();
        if !links.is_empty() {
            self.closing.retain(|thread| !thread.is_finished());
            // In the background, because closing is slow and new programs must not wait for it.
            self.closing.push(std::thread::spawn(move || close(links)));
        }
        files
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
        close(self.by_file.drain().flat_map(|(_, file)| file.links).collect());
        // A thread that panicked has closed its links as well.
        self.closing.drain(..).for_each(|thread| drop(thread.join()));
    }
}

/// Closes links, many at a time.
fn close(mut links: Vec<Link>) {
    let share = links.len().div_ceil(DETACHING).max(1);
    std::thread::scope(|scope| {
        while !links.is_empty() {
            let part = links.split_off(links.len().saturating_sub(share));
            scope.spawn(move || drop(part));
        }
    });
}

/// The places with one semaphore for each address, which is all the kernel supports, and those that lose theirs.
fn agreed(places: &[Place]) -> (Vec<Place>, Vec<Refusal>) {
    let mut raised: HashMap<u64, u64> = HashMap::new();
    let mut refusals = Vec::new();
    let mut lower = |place, cause| refusals.push(Refusal { place, reason: Reason::Lowered(cause) });
    for (index, place) in places.iter().enumerate().filter(|(_, place)| place.semaphore_offset != 0) {
        if !place.semaphore_offset.is_multiple_of(2) {
            lower(index, Cause::Odd);
        } else if *raised.entry(place.offset).or_insert(place.semaphore_offset) != place.semaphore_offset {
            lower(index, Cause::Folded);
        }
    }
    let semaphore = |place: &Place| raised.get(&place.offset).copied().unwrap_or(0);
    let places = places.iter().map(|place| Place { semaphore_offset: semaphore(place), ..*place }).collect();
    (places, refusals)
}

/// Attaches to one file, halving the list of places until each refused one stands alone.
struct Attempt<'a> {
    links: &'a mut Vec<Link>,
    refusals: &'a mut Vec<Refusal>,
    path: &'a Path,
    pid: Option<u32>,
    /// Sites that were refused, and that were attached.
    hopeless: usize,
    attached: usize,
}

impl Attempt<'_> {
    /// Attaches to `places`, the first of which has the index `first`.
    fn attach(&mut self, links: &Links, places: &[Place], first: usize) -> Result<()> {
        let source = match self.try_link(links, places) {
            Ok(()) => return Ok(()),
            Err(Error::Attach { source, .. }) => source,
            Err(error) => return Err(error),
        };
        if self.pid.is_some() && source.raw_os_error() == Some(libc::ESRCH) {
            // The process has ended.
            return Ok(());
        }
        if let [place] = places {
            return self.attach_lowered(links, *place, first, source);
        }
        if self.attached == 0 && self.hopeless >= MAX_HOPELESS {
            let refused = |place| {
                let source =
                    source.raw_os_error().map_or_else(|| source.kind().into(), io::Error::from_raw_os_error);
                Refusal { place, reason: Reason::Refused(source) }
            };
            self.refusals.extend((first..first + places.len()).map(refused));
            return Ok(());
        }
        let (left, right) = places.split_at(places.len() / 2);
        self.attach(links, left, first)?;
        self.attach(links, right, first + left.len())
    }

    /// Attaches to a place that was refused, without its semaphore if it has one.
    fn attach_lowered(&mut self, links: &Links, place: Place, index: usize, source: io::Error) -> Result<()> {
        let lowered = Place { semaphore_offset: 0, ..place };
        let reason = match place.semaphore_offset {
            0 => Reason::Refused(source),
            _ => match self.try_link(links, &[lowered]) {
                Ok(()) => Reason::Lowered(Cause::Foreign),
                Err(Error::Attach { .. }) => Reason::Refused(source),
                Err(error) => return Err(error),
            },
        };
        self.hopeless += usize::from(matches!(reason, Reason::Refused(_)));
        self.refusals.retain(|refusal| refusal.place != index);
        self.refusals.push(Refusal { place: index, reason });
        Ok(())
    }

    fn try_link(&mut self, links: &Links, places: &[Place]) -> Result<()> {
        let link = link::attach_filtered(&links.program, links.mode, self.path, places, self.pid)?;
        self.attached += places.len();
        self.links.push(link);
        Ok(())
    }
}
