//! Silences: the longest times in which a process, or all of them, fired no probe of the path.

use std::cmp::Reverse;

/// Silences of a process that are kept.
const KEPT: usize = 64;

/// A time in which nothing fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Silence {
    /// How long, ns.
    pub(crate) len_ns: u64,
    /// The event before it, ns.
    pub(crate) from_ns: u64,
}

impl Silence {
    /// The event after it, ns.
    #[must_use]
    pub(crate) fn to_ns(self) -> u64 {
        self.from_ns + self.len_ns
    }
}

/// The longest silences of one process.
#[derive(Debug, Clone)]
pub(crate) struct Silences {
    /// The last event; before there is one, the end of all time: nothing is silent until then.
    last_ns: u64,
    /// Events.
    pub(crate) events: u64,
    kept: Vec<Silence>,
    /// A silence that is not longer need not be kept.
    floor_ns: u64,
}

impl Default for Silences {
    fn default() -> Self {
        Self { last_ns: u64::MAX, events: 0, kept: Vec::new(), floor_ns: 0 }
    }
}

impl Silences {
    /// An event fired.
    #[inline]
    pub(crate) fn event(&mut self, time_ns: u64) {
        let len_ns = time_ns.saturating_sub(self.last_ns);
        self.events += 1;
        self.last_ns = time_ns;
        if len_ns > self.floor_ns {
            self.keep(Silence { len_ns, from_ns: time_ns - len_ns });
        }
    }

    #[cold]
    fn keep(&mut self, silence: Silence) {
        self.kept.push(silence);
        if self.kept.len() >= 2 * KEPT {
            self.kept.sort_unstable_by_key(|&silence| Reverse(silence));
            self.kept.truncate(KEPT);
            self.floor_ns = self.kept[KEPT - 1].len_ns;
        }
    }

    /// The longest silences, longest first.
    #[must_use]
    pub(crate) fn longest(&self) -> Vec<Silence> {
        let mut longest = self.kept.clone();
        longest.sort_unstable_by_key(|&silence| Reverse(silence));
        longest.truncate(KEPT);
        longest
    }
}
