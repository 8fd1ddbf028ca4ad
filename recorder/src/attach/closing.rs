//! Detaching, in a helper: the kernel waits for the memory of each process that maps the file, which one of them may keep for ever.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::host::helper::channel::Channel;
use crate::host::helper::process::{Helper, NoAnswer, one_at_a_time};
use crate::kernel::link::Link;

/// Threads that detach at a time: closing a link takes 25 to 50 ms, nearly all of it waiting.
const DETACHING: usize = 256;
/// How often a helper looks at how far they are.
const STEP: Duration = Duration::from_millis(5);
/// What a helper says when some links are closed; when all are, it says nothing more.
const GOES_ON: &[u8] = b"more";

/// Helpers that close links.
#[derive(Debug, Default)]
pub(super) struct Detaching {
    closing: Vec<Helper>,
    /// Those that were waited for in vain: nothing waits for them again before the end.
    late: Vec<Helper>,
}

impl Detaching {
    /// Begins to close links.
    pub(super) fn begin(&mut self, links: Vec<Link>) {
        for helpers in [&mut self.closing, &mut self.late] {
            helpers.retain_mut(|helper| !(helper.has_message() && is_over(helper, &Instant::now)));
        }
        if links.is_empty() {
            return;
        }
        // Without a helper they were closed here.
        self.closing.extend(close_apart(links));
    }

    /// Waits until all are closed, or none was for `limit`: then gives the first process that still closes some, which goes on until the
    /// kernel lets it.
    pub(super) fn wait(&mut self, limit: Duration) -> Option<u32> {
        retain_late(&mut self.closing, || Instant::now() + limit);
        let process = self.closing.first().map(Helper::pid);
        self.late.append(&mut self.closing);
        process
    }

    /// The same at the end, but waits no longer than until then, for all.
    pub(super) fn wait_until(&mut self, latest: Instant) -> Option<u32> {
        self.closing.append(&mut self.late);
        retain_late(&mut self.closing, || latest);
        self.closing.first().map(Helper::pid)
    }
}

/// Waits until these have closed their links, for the next one until `latest`; leaves those that have not.
fn retain_late(helpers: &mut Vec<Helper>, latest: impl Fn() -> Instant) {
    // What keeps one may keep the others.
    let mut is_late = false;
    helpers.retain_mut(|helper| {
        let is_over = if is_late { is_over(helper, &Instant::now) } else { is_over(helper, &latest) };
        is_late |= !is_over;
        !is_over
    });
}

impl Drop for Detaching {
    fn drop(&mut self) {
        self.closing.drain(..).chain(self.late.drain(..)).for_each(Helper::leave);
    }
}

/// Waits until a helper has closed its links, for the next of them until `latest`; false if it has not.
fn is_over(helper: &mut Helper, latest: &dyn Fn() -> Instant) -> bool {
    loop {
        match helper.receive_until(latest()) {
            Ok((body, _)) if body == GOES_ON => {}
            // It has ended, or it is gone, and its descriptors with it.
            Ok(_) | Err(NoAnswer::Gone) => return true,
            Err(NoAnswer::Slow) => return false,
        }
    }
}

/// Lets a helper close links: it is the last to have them.
fn close_apart(links: Vec<Link>) -> io::Result<Helper> {
    let fds: Vec<BorrowedFd<'_>> = links.iter().flat_map(|link| link.fds().iter().map(AsFd::as_fd)).collect();
    let alone = one_at_a_time();
    let helper = Helper::fork(c"tracer-detacher", &fds, |channel| close_when_told(channel, &links))?;
    drop(links);
    drop(alone);
    helper.send(&[], &[])?;
    Ok(helper)
}

fn close_when_told(mut channel: Channel, links: &[Link]) {
    if channel.receive(None).is_err() {
        return;
    }
    let fds: Vec<i32> = links.iter().flat_map(|link| link.fds().iter().map(AsRawFd::as_raw_fd)).collect();
    let (share, closed) = (fds.len().div_ceil(DETACHING).max(1), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for part in fds.chunks(share) {
            let closed = &closed;
            scope.spawn(move || {
                for fd in part {
                    // SAFETY: this process ends without closing them in another way.
                    unsafe { libc::close(*fd) };
                    closed.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let mut told = 0;
        while told < fds.len() {
            std::thread::sleep(STEP);
            let now = closed.load(Ordering::Relaxed);
            if now > told && now < fds.len() && channel.send(GOES_ON, &[]).is_err() {
                // Nothing waits for it any more.
                break;
            }
            told = now;
        }
    });
    let _ = channel.send(&[], &[]);
}
