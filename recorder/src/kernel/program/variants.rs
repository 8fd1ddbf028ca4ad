//! The program at sites, which is loaded in up to four variants. Only the first is always needed: the kernel takes a tenth of a second
//! and more to verify one.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use aya_obj::Object;

use super::deferred::{self, Deferred};
use super::load::load_multi;
use crate::error::{Error, Result};
use crate::kernel::bpf::{AttachType, ProgramType, Waits};
use crate::kernel::code::Code;

/// What comes of it when memory is not waited for.
pub(super) const UNWAITING: &str = "arguments in memory that a program has not touched yet are unreadable";

/// The program at sites, in its variants.
#[derive(Debug)]
pub(crate) struct Variants {
    /// For attaching many sites of a file at once; `Err` when the kernel is too old for it.
    pub(crate) multi: std::result::Result<OwnedFd, io::Error>,
    /// For attaching through perf events.
    single: Deferred,
    /// The same two for sites with arguments in memory, which wait for memory that a process has not touched yet. Without, such
    /// arguments are unreadable.
    multi_of_memory: Arc<Deferred>,
    single_of_memory: Arc<Deferred>,
}

impl Variants {
    /// Loads what every recording needs. What waits for memory is loaded in the background: few programs have such sites.
    pub(super) fn load(object: &Object) -> Result<Self> {
        let site = Code::of(object, "site", ProgramType::Kprobe)?;
        let of_memory = Arc::new(Code::of(object, "site_of_memory", ProgramType::Kprobe)?);
        let of_memory = |attach| Arc::new(Deferred::new(Arc::clone(&of_memory), attach, Waits::ForMemory));
        let multi = load_multi(&site)?;
        let single = Deferred::new(Arc::new(site), AttachType::None, Waits::Never);
        if multi.is_err() {
            single.load_now()?;
        }
        let variants = Self {
            multi,
            single,
            multi_of_memory: of_memory(AttachType::UprobeMulti),
            single_of_memory: of_memory(AttachType::None),
        };
        deferred::load_beside(variants.usual_of_memory());
        Ok(variants)
    }

    /// Loads what attaching needs that is not loaded yet, and gives the descriptors. To be called before a helper process attaches: it
    /// cannot wait for what a thread of this one loads.
    pub(crate) fn attachable(&self, is_multi: bool, is_of_memory: bool) -> Vec<BorrowedFd<'_>> {
        let multi = self.multi.as_ref().ok().filter(|_| is_multi).map(AsFd::as_fd);
        let single = (!is_multi).then(|| self.single().ok()).flatten();
        let of_memory = is_of_memory.then(|| self.of_memory(is_multi)).flatten();
        [multi, single, of_memory].into_iter().flatten().collect()
    }

    /// For attaching through perf events.
    ///
    /// # Errors
    /// Why the kernel does not load it.
    pub(crate) fn single(&self) -> io::Result<BorrowedFd<'_>> {
        self.single.load().as_ref().map(AsFd::as_fd).map_err(|error| io::Error::other(error.to_string()))
    }

    /// For sites with arguments in memory; `None` if memory is not waited for.
    pub(crate) fn of_memory(&self, is_multi: bool) -> Option<BorrowedFd<'_>> {
        let deferred = if is_multi { &self.multi_of_memory } else { &self.single_of_memory };
        deferred.load().as_ref().ok().map(AsFd::as_fd)
    }

    /// The variant for sites with arguments in memory that this kernel attaches by default.
    fn usual_of_memory(&self) -> &Arc<Deferred> {
        if self.multi.is_ok() { &self.multi_of_memory } else { &self.single_of_memory }
    }

    /// Why memory that a process has not touched yet is not waited for, if it is not; and whether that is a limit of this kernel rather
    /// than a fault.
    pub(crate) fn unwaiting(&self) -> Option<(String, bool)> {
        let error = self.usual_of_memory().load().as_ref().err()?;
        let is_limit = matches!(error, Error::Unsupported { .. });
        Some((format!("{UNWAITING}: {error}"), is_limit))
    }

    /// Those that are loaded.
    pub(super) fn loaded(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let deferred = [&self.single, &*self.multi_of_memory, &*self.single_of_memory];
        self.multi.iter().chain(deferred.into_iter().filter_map(Deferred::loaded)).map(AsFd::as_fd)
    }
}
