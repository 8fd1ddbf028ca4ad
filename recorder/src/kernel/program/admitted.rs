//! Which processes are recorded, where not all are.

use super::{Program, keys, set};
use crate::abi::{ADMITTED, FOLLOWED};
use crate::error::Result;

impl Program {
    /// Records process `pid` from now on; without effect unless [`ProgramOptions::only_admitted`](super::ProgramOptions::only_admitted).
    ///
    /// # Errors
    /// [`Error::System`](crate::Error::System) when too many processes are admitted.
    pub fn admit(&self, pid: u32) -> Result<()> {
        set(&self.admitted, pid, &[ADMITTED])
    }

    /// Records process `pid` from now on and the children that it will have, and theirs; needs
    /// [`Program::watch_processes`].
    ///
    /// # Errors
    /// As [`Program::admit`].
    pub fn follow(&self, pid: u32) -> Result<()> {
        set(&self.admitted, pid, &[FOLLOWED])
    }

    /// Undoes [`Program::admit`]; nothing happens if the process was not admitted.
    pub fn dismiss(&self, pid: u32) {
        // Fails only if it is not there, which is what is wanted.
        let _ = self.admitted.delete(&pid.to_le_bytes());
    }

    /// Whether process `pid` is recorded, when only those are that were admitted.
    #[must_use]
    pub fn is_admitted(&self, pid: u32) -> bool {
        self.admitted.lookup(&pid.to_le_bytes(), &mut [0]).is_ok()
    }

    /// The processes that were admitted, by the recorder or as children of those.
    #[must_use]
    pub fn admitted(&self) -> Vec<u32> {
        keys(&self.admitted)
    }
}
