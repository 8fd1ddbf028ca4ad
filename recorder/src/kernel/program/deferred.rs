//! Programs that are loaded when they are first needed: to verify one takes the kernel a while, on a slow machine seconds.

use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock};

use crate::error::Result;
use crate::kernel::bpf::{AttachType, Waits};
use crate::kernel::code::Code;

/// A program that is loaded when it is first needed.
#[derive(Debug)]
pub(crate) struct Deferred {
    code: Arc<Code>,
    attach: AttachType,
    waits: Waits,
    loaded: OnceLock<Result<OwnedFd>>,
}

impl Deferred {
    pub(super) fn new(code: Arc<Code>, attach: AttachType, waits: Waits) -> Self {
        Self { code, attach, waits, loaded: OnceLock::new() }
    }

    /// Loads it, unless that is done already. Waits while another thread does.
    pub(crate) fn load(&self) -> &Result<OwnedFd> {
        self.loaded.get_or_init(|| self.fresh())
    }

    /// Loads it, where a recording cannot do without.
    ///
    /// # Errors
    /// As [`Program::load`](super::Program::load).
    pub(super) fn load_now(&self) -> Result<()> {
        let loaded = self.fresh()?;
        let _ = self.loaded.set(Ok(loaded));
        Ok(())
    }

    /// The program, if it is loaded.
    pub(super) fn loaded(&self) -> Option<&OwnedFd> {
        self.loaded.get()?.as_ref().ok()
    }

    fn fresh(&self) -> Result<OwnedFd> {
        match self.waits {
            Waits::Never => self.code.load(self.attach),
            Waits::ForMemory => self.code.load_waiting(self.attach),
        }
    }
}
