//! A helper: a child of this process that is killed when it is not needed any more, and not waited for.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::host::descriptors::make_room;
use crate::host::helper::board::Board;
use crate::host::helper::channel::{Channel, Parcel};

/// How long a helper may be silent.
pub(crate) const LIMIT: Duration = Duration::from_secs(2);
/// A helper that sleeps in a call for this long goes on alone: others are looked at meanwhile.
const PATIENCE: Duration = Duration::from_millis(300);
/// The same, where it sleeps for one file after the other.
const PATIENCE_IN_ALL: Duration = Duration::from_millis(1200);
/// How often a silent helper is looked at.
const STEP: Duration = Duration::from_millis(50);
/// An answer in this time counts as no waiting.
const QUICK: Duration = Duration::from_millis(2);

/// Milliseconds that the end of a helper is waited for.
const FAREWELL: usize = 10;

/// A helper.
#[derive(Debug)]
pub(crate) struct Helper {
    pid: Pid,
    channel: Channel,
    board: Board,
    /// Whether it goes on when this is dropped.
    is_left: bool,
    /// How long it slept in calls while it was waited for.
    asleep: Duration,
    /// How long it ran, waited for a processor or slept by itself, when that was last looked at.
    busy: Duration,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// Not yet.
    Slow,
    /// The helper has ended.
    Gone,
}

/// Helpers that were killed, or left alone, and have not ended yet.
static KILLED: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

impl Helper {
    /// Starts a child that does `work`, with its end of a channel, and ends after that. It keeps the descriptors in `kept` and has closed
    /// all others when this returns.
    ///
    /// # Errors
    /// When processes or descriptors are short.
    pub(crate) fn start(
        name: &CStr,
        kept: &[BorrowedFd<'_>],
        work: impl FnOnce(Channel),
    ) -> io::Result<Self> {
        let _alone = one_at_a_time();
        Self::fork(name, kept, work)
    }

    /// The same, for a caller that holds [`one_at_a_time`].
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub(crate) fn fork(name: &CStr, kept: &[BorrowedFd<'_>], work: impl FnOnce(Channel)) -> io::Result<Self> {
        reap();
        make_room();
        let [channel, theirs] = Channel::pair()?;
        let board = Board::new()?;
        // SAFETY: the C library allows the child of a process with several threads to allocate; it takes no other lock that
        // another thread could have held.
        match unsafe { libc::fork() } {
            0 => {
                // A panic must not unwind into what the recorder was doing.
                let _ = catch_unwind(AssertUnwindSafe(|| {
                    let mut fds: Vec<RawFd> = kept.iter().map(AsRawFd::as_raw_fd).collect();
                    fds.extend([board.as_fd().as_raw_fd(), theirs.as_fd().as_raw_fd()]);
                    go_apart(name, fds);
                    board.write_here();
                    if theirs.send(&[], &[]).is_ok() {
                        work(theirs);
                    }
                }));
                // SAFETY: ends the child at once, without running what the recorder wants run at its own end.
                unsafe { libc::_exit(0) }
            }
            pid => {
                let pid = Pid::from_raw(pid).filter(|_| pid > 0).ok_or_else(io::Error::last_os_error)?;
                drop(theirs);
                let mut helper = Self {
                    pid,
                    channel,
                    board,
                    is_left: false,
                    asleep: Duration::ZERO,
                    busy: Duration::ZERO,
                };
                // Until then it has copies of all descriptors: what is closed here would stay open.
                match helper.receive_within(LIMIT) {
                    Ok(_) => Ok(helper),
                    Err(_) => Err(io::ErrorKind::TimedOut.into()),
                }
            }
        }
    }

    pub(crate) fn send(&self, body: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.channel.send(body, fds)
    }

    /// Sends messages that nothing comes along with.
    pub(crate) fn send_all<'m>(&self, bodies: impl IntoIterator<Item = &'m Vec<u8>>) -> io::Result<()> {
        self.channel.send_all(bodies)
    }

    /// Waits for a message, as long as the helper works: at most two seconds for one file, and much less if it sleeps in calls, for one
    /// file or for many.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn receive(&mut self) -> Result<Parcel, NoAnswer> {
        let mut waited = Duration::ZERO;
        let received = self.receive_soon(&mut waited);
        if waited > QUICK {
            let busy = self.take_busy();
            self.asleep += waited.saturating_sub(busy);
        }
        received
    }

    fn receive_soon(&mut self, waited: &mut Duration) -> Result<Parcel, NoAnswer> {
        let (mut of_file, mut step) = (Duration::ZERO, None);
        let (mut asleep, mut in_all) = (Duration::ZERO, Duration::ZERO);
        loop {
            let (received, took) = self.receive_step();
            *waited += took;
            match received {
                Err(NoAnswer::Slow) => {}
                other => return other,
            }
            let now = Some(self.board.read().0);
            if now != step {
                // Another file.
                (of_file, step, asleep) = (Duration::ZERO, now, Duration::ZERO);
            }
            of_file += took;
            if !self.is_running() {
                asleep += took;
                in_all += took;
            }
            if asleep > PATIENCE || in_all > PATIENCE_IN_ALL || of_file > LIMIT {
                return Err(NoAnswer::Slow);
            }
        }
    }

    /// Waits for a message for [`STEP`], and tells how long: what goes beyond that is time in which this process was stopped, or had no
    /// processor, and nothing that the helper can be blamed for.
    fn receive_step(&mut self) -> (Result<Parcel, NoAnswer>, Duration) {
        let at = Instant::now();
        let received = self.receive_until(at + STEP);
        (received, at.elapsed().min(STEP))
    }

    /// Waits for a message, as long as the helper does not sleep for `limit` at one step.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn receive_within(&mut self, limit: Duration) -> Result<Parcel, NoAnswer> {
        let (mut asleep, mut step) = (Duration::ZERO, None);
        loop {
            let (received, took) = self.receive_step();
            match received {
                Err(NoAnswer::Slow) => {}
                other => return other,
            }
            let now = Some(self.board.read().0);
            asleep += took;
            if now != step || self.is_running() {
                (asleep, step) = (Duration::ZERO, now);
            }
            if asleep >= limit {
                return Err(NoAnswer::Slow);
            }
        }
    }

    /// How long it slept in calls while it was waited for, since this was last asked.
    pub(crate) fn take_asleep(&mut self) -> Duration {
        std::mem::take(&mut self.asleep)
    }

    /// A message that has arrived until then.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn receive_until(&mut self, until: Instant) -> Result<Parcel, NoAnswer> {
        self.channel.receive(Some(until)).map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => NoAnswer::Slow,
            _ => NoAnswer::Gone,
        })
    }

    /// Whether something has arrived.
    pub(crate) fn has_message(&mut self) -> bool {
        self.channel.has_bytes()
    }

    /// Lets it go on alone. The kernel changes no memory of another process for one that is about to be killed: one that attaches or
    /// detaches would leave breakpoints and raised semaphores behind.
    pub(crate) fn leave(mut self) {
        self.is_left = true;
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().cast_unsigned()
    }

    /// What it looks at.
    pub(crate) fn looks_at(&self) -> String {
        self.board.read().1
    }

    /// How long it ran, waited for a processor or slept by itself since this was last asked; without end where the kernel does not tell.
    fn take_busy(&mut self) -> Duration {
        let text = std::fs::read_to_string(format!("/proc/{}/schedstat", self.pid.as_raw_nonzero()));
        let number = |field: &str| field.parse().ok().map(Duration::from_nanos);
        let sum = text.ok().and_then(|text| {
            let mut fields = text.split_ascii_whitespace().map(number);
            Some(fields.next()?? + fields.next()?? + self.board.rested())
        });
        let Some(busy) = sum else { return Duration::MAX };
        let before = std::mem::replace(&mut self.busy, busy);
        busy.saturating_sub(before)
    }

    /// Whether it has a processor or waits for one, rather than for an answer.
    fn is_running(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid.as_raw_nonzero()));
        stat.is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, fields)| fields.starts_with('R')))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        killed().push(self.pid);
        if self.is_left {
            return;
        }
        let _ = kill_process(self.pid, Signal::KILL);
        // One that does not wait for a file is gone in a moment.
        for _ in 0..FAREWELL {
            reap();
            if !killed().contains(&self.pid) {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Lets no other thread start a helper, which would have copies of all descriptors for a moment.
pub(crate) fn one_at_a_time() -> MutexGuard<'static, ()> {
    static STARTING: Mutex<()> = Mutex::new(());
    STARTING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn killed() -> MutexGuard<'static, Vec<Pid>> {
    KILLED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes leave of the killed ones that have ended.
fn reap() {
    killed().retain(|pid| matches!(waitpid(Some(*pid), WaitOptions::NOHANG), Ok(None)));
}

/// Leaves all that it has in common with the recorder: session, signals, descriptors.
fn go_apart(name: &CStr, kept: Vec<RawFd>) {
    // SAFETY: plain system calls on values of this stack frame. Signals are blocked, so that Ctrl-C and Ctrl-Z concern the
    // recorder only.
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut());
        libc::setsid();
        libc::prctl(libc::PR_SET_NAME, name.as_ptr());
        // Threads of the recorder that must not wait have a priority that a file of others must not have.
        let usual = libc::sched_param { sched_priority: 0 };
        libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const usual);
    }
    close_all_but(kept);
    // What the recorder prints to must end when the recorder does.
    while let Ok(null) = std::fs::File::options().read(true).write(true).open("/dev/null") {
        if null.as_raw_fd() > 2 {
            break;
        }
        std::mem::forget(null);
    }
}

/// Closes all descriptors but these: those of the recorder would stay open in the kernel after its end.
pub(crate) fn close_all_but(mut kept: Vec<RawFd>) {
    kept.sort_unstable();
    let mut from = 0;
    for fd in kept.into_iter().map(i32::cast_unsigned).chain([u32::MAX]) {
        if from < fd {
            let to = if fd == u32::MAX { fd } else { fd - 1 };
            // SAFETY: nothing in this process uses the descriptors any more. A kernel without the call (5.8 and older) keeps
            // them open until the process ends.
            unsafe { libc::syscall(libc::SYS_close_range, from, to, 0) };
        }
        from = fd.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_helper_answers_and_one_that_does_not_is_left_alone() {
        let echo = |mut channel: Channel| {
            while let Ok((body, _)) = channel.receive(None) {
                if body == b"sleep" {
                    crate::host::helper::board::at(std::path::Path::new("/a/file"));
                    std::thread::sleep(Duration::from_secs(3600));
                }
                channel.send(&body, &[]).unwrap();
            }
        };
        let mut helper = Helper::start(c"test-helper", &[], echo).unwrap();
        helper.send(b"hello", &[]).unwrap();
        assert_eq!(helper.receive().unwrap().0, b"hello");
        helper.send(b"sleep", &[]).unwrap();
        assert_eq!(helper.receive().unwrap_err(), NoAnswer::Slow);
        assert_eq!(helper.looks_at(), "/a/file");
        let pid = helper.pid;
        drop(helper);
        while killed().contains(&pid) {
            std::thread::yield_now();
            reap();
        }
        let mut helper = Helper::start(c"test-helper", &[], drop).unwrap();
        assert_eq!(helper.receive().unwrap_err(), NoAnswer::Gone);
    }
}
