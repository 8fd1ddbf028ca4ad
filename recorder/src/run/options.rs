//! What to record, and how.

use std::ffi::OsString;
use std::time::Duration;

use crate::attach::finder::AttachOptions;
use crate::find::discover::Filter;
use crate::host;
use crate::kernel::link::AttachMode;
use crate::run::priority::Priority;
use crate::run::user::User;
use tracer_format::grammar::KeyArgument;

/// What to record, and how.
#[derive(Debug, Clone)]
pub struct RecordOptions {
    /// Probes and processes.
    pub filter: Filter,
    /// Arguments that are keys.
    pub keys: Vec<KeyArgument>,
    /// How to attach.
    pub attach: AttachMode,
    /// Bytes of the ring buffer of each CPU: a power of two.
    pub ring_bytes: u32,
    /// End after this time.
    pub duration: Option<Duration>,
    /// A command to run; the recording ends with it.
    pub command: Vec<OsString>,
    /// With a command: record every process, not only the command, its children and the filter's pids.
    pub everyone: bool,
    /// The user that runs the command, if it is not the recorder's own.
    pub user: Option<User>,
    /// Begin even if there is no matching probe yet, and wait for programs that have one.
    pub wait: bool,
    /// Priority of the threads that collect and write.
    pub priority: Priority,
    /// Whether [`Notice::Progress`](crate::Notice::Progress) is wanted, ten times a second. Without, nothing wakes the recorder while
    /// nothing fires.
    pub progress: bool,
    /// Our own command line, for the trace.
    pub command_line: Vec<String>,
}

impl RecordOptions {
    /// Whether only the command, its children and the processes that were named are recorded.
    pub(crate) fn only_tree(&self) -> bool {
        self.follows() && !self.everyone
    }

    /// Whether the eBPF program records only processes that were admitted: those of [`RecordOptions::only_tree`].
    pub(crate) fn only_admitted(&self) -> bool {
        self.only_tree() || !self.filter.pids.is_empty()
    }

    /// Whether the command's children are followed.
    pub(crate) fn follows(&self) -> bool {
        !self.command.is_empty() && !host::is_in_pid_namespace()
    }

    /// The part of the options that attaching needs.
    pub(crate) fn attaching(&self) -> AttachOptions {
        AttachOptions {
            mode: self.attach,
            keys: self.keys.clone(),
            pids: self.filter.pids.clone(),
            only_admitted: self.only_tree(),
        }
    }
}
