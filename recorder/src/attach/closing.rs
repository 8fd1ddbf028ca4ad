//! Detaching, in a helper: the kernel waits for the memory of each process that maps the file, which one of them may keep for ever.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use crate::host::helper::channel::Channel;
use crate::host::helper::process::{Helper, one_at_a_time};
use crate::kernel::link::Link;

/// Threads that detach at a time: closing a link takes 25 to 50 ms, nearly all of it waiting.
const DETACHING: usize = 256;

/// Helpers that close links.
#[derive(Debug, Default)]
pub(super) struct Detaching(Vec<Helper>);

impl Detaching {
    /// Begins to close links.
    pub(super) fn begin(&mut self, links: Vec<Link>) {
        self.0.retain_mut(|helper| !helper.has_message());
        if links.is_empty() {
            return;
        }
        // Without a helper they were closed here.
        self.0.extend(close_apart(links));
    }

    /// Waits until all are closed, or none was for `limit`.
    pub(super) fn wait(&mut self, limit: Duration) {
        for mut helper in self.0.drain(..) {
            // What is not closed by then is closed when the kernel can.
            let _ = helper.receive_within(limit);
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
    let share = fds.len().div_ceil(DETACHING).max(1);
    std::thread::scope(|scope| {
        for part in fds.chunks(share) {
            scope.spawn(move || {
                for fd in part {
                    // SAFETY: this process ends without closing them in another way.
                    unsafe { libc::close(*fd) };
                }
            });
        }
    });
    let _ = channel.send(&[], &[]);
}
