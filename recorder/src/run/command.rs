//! The command behind `--`: started when its probes are attached, watched until it ends.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use crate::drain::Drain;
use crate::error::{Error, Result};
use crate::find::launch;
use crate::host::descriptors::leave_room;
use crate::kernel::signal;
use crate::run::stop::Signals;
use crate::run::user::User;

/// The command that is recorded, if there is one.
#[derive(Default)]
pub(crate) struct Running {
    child: Option<Child>,
    /// Whether it leads a group of processes, which the terminal's Ctrl-C does not reach.
    is_leader: bool,
    /// Readable once it has ended.
    _end: Option<OwnedFd>,
}

impl Running {
    /// Starts the command, as `user` if one is given. Its probes are attached, so its first instruction is seen.
    pub(crate) fn start(command: &[OsString], user: Option<&User>, drain: &Drain) -> Result<Self> {
        let Some((name, arguments)) = command.split_first() else {
            return Ok(Self::default());
        };
        let mut command = Command::new(name);
        command.args(arguments);
        let child = match spawn(&mut command, user) {
            // As `execvp`, shells, `env` and `nohup` have it: what is in no form that the kernel knows is a script.
            Err(Error::System { source, .. }) if source.raw_os_error() == Some(libc::ENOEXEC) => {
                let script = launch::find_script(name).ok_or(Error::System { doing: START, source })?;
                spawn(Command::new(launch::SHELL).arg(script).args(arguments), user)
            }
            spawned => spawned,
        };
        let child = child.map_err(|error| match error {
            Error::System { doing: START, source } => Error::command(name, launch::explained(name, &source)),
            error => error,
        })?;
        let end = signal::child_end(child.id());
        let end = end.map_err(|source| Error::System { doing: "watch the command", source })?;
        drain.watch(end.as_fd())?;
        Ok(Self { child: Some(child), is_leader: user.is_some(), _end: Some(end) })
    }

    pub(crate) fn is_some(&self) -> bool {
        self.child.is_some()
    }

    pub(crate) fn terminate(&self) {
        self.child.iter().for_each(|child| signal::terminate(child.id(), self.is_leader));
    }

    pub(crate) fn is_over(&mut self) -> Result<bool> {
        let Some(child) = &mut self.child else { return Ok(false) };
        let status = child.try_wait();
        Ok(status.map_err(|source| Error::System { doing: "wait for the command", source })?.is_some())
    }

    /// Waits for the command's end. If that takes long, `told` says so; a further Ctrl-C kills the command.
    pub(crate) fn end(
        mut self,
        signals: &mut Signals,
        told: &mut dyn FnMut(&str),
    ) -> Result<Option<ExitStatus>> {
        let Some(child) = &mut self.child else { return Ok(None) };
        let mut patience = Some(Instant::now() + PATIENCE);
        loop {
            match child.try_wait() {
                Ok(None) if signals.arrived().ends > 0 => {
                    signal::kill(child.id(), self.is_leader);
                }
                Ok(None) => {
                    if patience.take_if(|until| *until <= Instant::now()).is_some() {
                        let pid = child.id();
                        told(&format!(
                            "the recording is over, waiting for the command (PID {pid}); Ctrl-C kills it"
                        ));
                    }
                    std::thread::sleep(STEP);
                }
                Ok(status) => return Ok(status),
                Err(source) => return Err(Error::System { doing: "wait for the command", source }),
            }
        }
    }
}

const START: &str = "start the command";

fn spawn(command: &mut Command, user: Option<&User>) -> Result<Child> {
    // SAFETY: it makes system calls and nothing else.
    unsafe { command.pre_exec(leave_room) };
    match user {
        Some(user) => user.spawn(command),
        None => command.spawn().map_err(|source| Error::System { doing: START, source }),
    }
}

/// How often the command is checked while the recorder waits for its end.
const STEP: Duration = Duration::from_millis(10);
/// How long the recorder waits before it says what it waits for.
const PATIENCE: Duration = Duration::from_secs(1);
