//! What this process and the command that is recorded write, kept from a terminal that is drawn on until it is free again.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::OwnedFd;

use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

/// Standard streams that are set aside, until this is dropped: what was written to them is shown then.
#[derive(Debug)]
pub(super) struct Aside {
    written: File,
    stdout: OwnedFd,
    /// If it is the terminal as well.
    stderr: Option<OwnedFd>,
    stdin: Option<OwnedFd>,
}

impl Aside {
    /// Sets aside what is the terminal. The command reads nothing: keys are for the screen.
    pub(super) fn begin() -> io::Result<Self> {
        use std::io::IsTerminal;
        let written = tempfile::tempfile()?;
        let keep = |is_terminal: bool, of: io::Result<OwnedFd>| is_terminal.then_some(of).transpose();
        let (stdin, stderr) = (io::stdin(), io::stderr());
        let aside = Self {
            stdout: clone(&io::stdout())?,
            stderr: keep(stderr.is_terminal(), clone(&stderr))?,
            stdin: keep(stdin.is_terminal(), clone(&stdin))?,
            written,
        };
        dup2_stdout(&aside.written)?;
        if aside.stderr.is_some() {
            dup2_stderr(&aside.written)?;
        }
        if aside.stdin.is_some() {
            dup2_stdin(File::open("/dev/null")?)?;
        }
        Ok(aside)
    }

    /// The terminal.
    pub(super) fn terminal(&self) -> io::Result<File> {
        Ok(self.stdout.try_clone()?.into())
    }

    fn end(&mut self) -> io::Result<()> {
        io::stdout().flush()?;
        dup2_stdout(&self.stdout)?;
        if let Some(stderr) = &self.stderr {
            dup2_stderr(stderr)?;
        }
        if let Some(stdin) = &self.stdin {
            dup2_stdin(stdin)?;
        }
        self.written.rewind()?;
        let mut terminal = match &self.stderr {
            Some(stderr) => File::from(stderr.try_clone()?),
            None => File::from(self.stdout.try_clone()?),
        };
        io::copy(&mut self.written, &mut terminal).map(drop)
    }
}

fn clone(stream: &impl std::os::fd::AsFd) -> io::Result<OwnedFd> {
    stream.as_fd().try_clone_to_owned()
}

impl Drop for Aside {
    fn drop(&mut self) {
        // The terminal may be gone.
        let _ = self.end();
    }
}
