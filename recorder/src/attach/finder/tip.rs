//! What the finder is told.

use crate::attach::hold::Told;
use crate::attach::lookout::Sighting;
use crate::drain::ProcessEvent;

/// Things told of processes that are looked at before something else is: a program that waits, or the end.
const MAX_AT_ONCE: usize = 64;

/// What the finder is told of processes.
pub(crate) enum Tip {
    /// They were forked or began to run a program, in this order.
    Processes(Vec<ProcessEvent>),
    /// One of them waits to run a program, or did so for too long.
    Told(Told),
    /// They mapped files.
    Seen(Sighting),
}

impl Tip {
    /// The first of very many things that are told at once, and the rest.
    pub(super) fn split(mut self) -> (Self, Option<Self>) {
        let rest = match &mut self {
            Self::Processes(events) if events.len() > MAX_AT_ONCE => {
                Some(Self::Processes(events.split_off(MAX_AT_ONCE)))
            }
            Self::Seen(Sighting::Mapped(files)) if files.len() > MAX_AT_ONCE => {
                Some(Self::Seen(Sighting::Mapped(files.split_off(MAX_AT_ONCE))))
            }
            _ => None,
        };
        (self, rest)
    }
}
