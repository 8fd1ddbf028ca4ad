//! The program at sites, which is loaded in up to four variants. To verify one takes the kernel a while, on a slow machine seconds, so two are
//! loaded side by side, and the other two only where they are needed.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread;

use aya_obj::Object;

use super::deferred::Deferred;
use super::load::load_multi;
use crate::error::{Error, Result};
use crate::host;
use crate::kernel::bpf::{AttachType, ProgramType, Waits};
use crate::kernel::code::Code;

/// The first kernel that attaches many sites at once. Some that say an older version can, too.
const MULTI_SINCE: (u32, u32) = (6, 6);

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
    multi_of_memory: Deferred,
    single_of_memory: Deferred,
    /// Whether those for perf events are used.
    one_by_one: bool,
}

impl Variants {
    /// Loads what is attached, side by side: for many sites at once if the kernel can and not `one_by_one`. A program that is held until it is attached to must not wait for that.
    pub(super) fn load(object: &Object, one_by_one: bool) -> Result<Self> {
        let site = Arc::new(Code::of(object, "site", ProgramType::Kprobe)?);
        let of_memory = Arc::new(Code::of(object, "site_of_memory", ProgramType::Kprobe)?);
        let of_memory = |attach| Deferred::new(Arc::clone(&of_memory), attach, Waits::ForMemory);
        let (multi_of_memory, single_of_memory) =
            (of_memory(AttachType::UprobeMulti), of_memory(AttachType::None));
        let is_expected = !one_by_one && host::kernel_version() >= MULTI_SINCE;
        let expected = if is_expected { &multi_of_memory } else { &single_of_memory };
        let multi = thread::scope(|scope| {
            let load = || {
                expected.load();
            };
            // Without a thread it is loaded below.
            let _ = thread::Builder::new().name("tracer-loader".to_owned()).spawn_scoped(scope, load);
            load_multi(&site)
        })?;
        let single = Deferred::new(site, AttachType::None, Waits::Never);
        let one_by_one = one_by_one || multi.is_err();
        if one_by_one {
            single.load_now()?;
        }
        let variants = Self { multi, single, multi_of_memory, single_of_memory, one_by_one };
        variants.usual_of_memory().load();
        Ok(variants)
    }

    /// Loads what attaching needs that is not loaded yet, and gives the descriptors. To be called before a helper process attaches, which
    /// would load it for itself alone.
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

    /// The variant for sites with arguments in memory that is attached.
    fn usual_of_memory(&self) -> &Deferred {
        if self.one_by_one { &self.single_of_memory } else { &self.multi_of_memory }
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
        let deferred = [&self.single, &self.multi_of_memory, &self.single_of_memory];
        self.multi.iter().chain(deferred.into_iter().filter_map(Deferred::loaded)).map(AsFd::as_fd)
    }
}
