//! `--ready-fd`: a descriptor that a script gave, which gets a byte when every probe is attached.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::BorrowedFd;

use anyhow::anyhow;

/// A descriptor that can be written to, as far as can be known before.
#[derive(Debug)]
pub(super) struct Ready(File);

impl Ready {
    /// Takes descriptor `number` of this process; to be called before this process opens anything.
    ///
    /// # Errors
    /// When there is no such descriptor, or it can only be read from.
    pub(super) fn take(number: u32) -> anyhow::Result<Self> {
        let file = duplicate(number);
        file.map(Self)
            .map_err(|error| anyhow!("--ready-fd {number}: {error}, expected a descriptor to write to"))
    }

    /// Writes the byte.
    ///
    /// # Errors
    /// When nothing reads it any more, for instance.
    pub(super) fn tell(&mut self) -> io::Result<()> {
        self.0.write_all(b"\n")
    }
}

fn duplicate(number: u32) -> io::Result<File> {
    let facts = fs::read_to_string(format!("/proc/self/fdinfo/{number}"));
    let facts = facts.map_err(|_| io::Error::other("it is not open"))?;
    let flags = facts.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    /// `O_ACCMODE`; `O_RDONLY` is 0.
    const ACCESS: u32 = 3;
    if flags.is_some_and(|flags| flags & ACCESS == 0) {
        return Err(io::Error::other("it is open for reading only"));
    }
    let number = i32::try_from(number).map_err(io::Error::other)?;
    // SAFETY: it is open, as its facts were read, and nothing here closes what was given.
    Ok(unsafe { BorrowedFd::borrow_raw(number) }.try_clone_to_owned()?.into())
}
