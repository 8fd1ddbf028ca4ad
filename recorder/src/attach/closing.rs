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
    /// One that was killed, unless that was told.
    killed: Option<u32>,
}

/// A process that has not detached from all that it was to detach from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Undetached {
    /// It goes on.
    Late(u32),
    /// It was killed.
    Killed(u32),
}

/// What is known of a helper that closes links.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ClosingState {
    GoesOn,
    Done,
    /// It ended before it said so.
    Killed,
}

impl Detaching {
    /// Begins to close links.
    pub(super) fn begin(&mut self, links: Vec<Link>) {
        for helpers in [&mut self.closing, &mut self.late] {
            helpers.retain_mut(|helper| {
                !helper.has_message() || goes_on(helper, &mut self.killed, &Instant::now)
            });
        }
        if links.is_empty() {
            return;
        }
        // Without a helper they were closed here.
        self.closing.extend(close_apart(links));
    }

    /// Waits until all are closed, or none was for `limit`: then gives the first process that still closes some, which goes on until the
    /// kernel lets it. Otherwise one that was killed.
    pub(super) fn wait(&mut self, limit: Duration) -> Option<Undetached> {
        let late = self.retain_late(|| Instant::now() + limit);
        self.late.append(&mut self.closing);
        late
    }

    /// The same at the end, but waits no longer than until then, for all.
    pub(super) fn wait_until(&mut self, latest: Instant) -> Option<Undetached> {
        self.closing.append(&mut self.late);
        self.retain_late(|| latest)
    }

    /// Waits until helpers have closed their links, for the next one until `latest`; leaves those that have not.
    fn retain_late(&mut self, latest: impl Fn() -> Instant) -> Option<Undetached> {
        // What keeps one may keep the others.
        let (mut is_late, killed) = (false, &mut self.killed);
        self.closing.retain_mut(|helper| {
            let goes_on = match is_late {
                true => goes_on(helper, killed, &Instant::now),
                false => goes_on(helper, killed, &latest),
            };
            is_late |= goes_on;
            goes_on
        });
        let late = self.closing.first().map(|helper| Undetached::Late(helper.pid()));
        late.or_else(|| self.killed.take().map(Undetached::Killed))
    }
}

impl Drop for Detaching {
    fn drop(&mut self) {
        self.closing.drain(..).chain(self.late.drain(..)).for_each(Helper::leave);
    }
}

/// Whether a helper still closes links, after it was waited for until `latest`; notes one that was killed.
fn goes_on(helper: &mut Helper, killed: &mut Option<u32>, latest: &dyn Fn() -> Instant) -> bool {
    let state = state(helper, latest);
    if state == ClosingState::Killed {
        *killed = Some(helper.pid());
    }
    state == ClosingState::GoesOn
}

/// Waits until a helper has closed its links, for the next of them until `latest`.
fn state(helper: &mut Helper, latest: &dyn Fn() -> Instant) -> ClosingState {
    loop {
        match helper.receive_until(latest()) {
            Ok((body, _)) if body == GOES_ON => {}
            Ok(_) => return ClosingState::Done,
            Err(NoAnswer::Gone) => return ClosingState::Killed,
            Err(NoAnswer::Slow) => return ClosingState::GoesOn,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A helper that does `work`, and is waited for.
    fn closing(work: impl FnOnce(Channel)) -> (Detaching, u32) {
        let helper = Helper::start(c"test-helper", &[], work).unwrap();
        let pid = helper.pid();
        let mut detaching = Detaching::default();
        detaching.closing.push(helper);
        (detaching, pid)
    }

    #[test]
    fn one_that_was_killed_has_not_detached() {
        let latest = || Instant::now() + Duration::from_secs(600);
        let (mut detaching, _) = closing(|channel| channel.send(&[], &[]).unwrap());
        assert_eq!(detaching.wait_until(latest()), None);
        let (mut detaching, pid) = closing(|channel| channel.send(GOES_ON, &[]).unwrap());
        assert_eq!(detaching.wait_until(latest()), Some(Undetached::Killed(pid)));
        assert_eq!(detaching.wait_until(latest()), None, "it is told once");
        // One that goes on is told first.
        let (mut detaching, pid) = closing(|mut channel| drop(channel.receive(None)));
        detaching.killed = Some(7);
        assert_eq!(detaching.wait(Duration::ZERO), Some(Undetached::Late(pid)));
        assert_eq!((detaching.wait(Duration::ZERO), detaching.late.len()), (Some(Undetached::Killed(7)), 1));
    }
}
