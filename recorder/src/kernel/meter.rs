//! What the eBPF program costs the programs that it runs in: measured by the kernel, in samples.
//!
//! Measuring costs each run another 30 ns, so it goes on for a hundredth of the time only.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use aya::sys::{Stats, enable_stats};

/// From one sample to the next, and the length of one.
const INTERVAL: Duration = Duration::from_secs(1);
const SAMPLE: Duration = Duration::from_millis(10);
/// The first sample begins after what is slow only once.
const FIRST: Duration = Duration::from_millis(50);

/// Lets the kernel measure now and then.
#[derive(Debug)]
pub(crate) struct Meter {
    /// Begin or end of a sample; `None` if the kernel refuses.
    next: Option<Instant>,
    /// While it is open, the kernel measures.
    sample: Option<OwnedFd>,
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self { next: Some(Instant::now() + FIRST), sample: None }
    }

    /// To be called often: begins and ends samples when they are due.
    pub(crate) fn tick(&mut self) {
        let now = Instant::now();
        if self.next.is_none_or(|next| now < next) {
            return;
        }
        if self.sample.take().is_some() {
            self.next = Some(now + INTERVAL);
        } else {
            // It needs CAP_SYS_ADMIN, which recording does not.
            self.sample = enable_stats(Stats::RunTime).ok();
            self.next = self.sample.is_some().then_some(now + SAMPLE);
        }
    }

    /// Ends a sample: for some time nothing will call [`tick`](Self::tick).
    pub(crate) fn rest(&mut self) {
        if self.sample.take().is_some() {
            self.next = Some(Instant::now());
        }
    }
}
