//! The responder: a small process that stands between the kernel and the recorder, so that nothing the recorder does, or
//! fails to do, keeps a program from running.
//!
//! The kernel asks it before any program runs. It passes the question on to the recorder, and answers "run" when the recorder
//! says so, or after [`LIMIT`]. It does nothing that could block: it opens no path, and all it writes to is asked first whether
//! there is room. It alone has the descriptor on which the kernel asks: when it ends, however it ends, the kernel
//! lets every process run its program. It ends when the recorder does. A recorder that is stopped does not stop it: it has a session
//! of its own, blocks all signals, and goes by another name.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use nix::sys::fanotify::{Fanotify, FanotifyEvent, FanotifyResponse, MarkFlags, MaskFlags, Response};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit};

use super::message::{self, Message};
use super::{mounts, translator};
use crate::find::look::call::path_of;
use crate::host::helper::process::close_all_but;
use crate::host::monotonic_ns;
use crate::kernel::bpf::Map;

/// A process waits for the recorder no longer than this before it runs its program: a tenth below the second that is promised, for a
/// busy machine takes a while until the responder and the process have a processor.
pub(super) const LIMIT: Duration = Duration::from_millis(900);

/// Processes that wait at a time, at most; each takes a descriptor. More are not held.
const MAX_WAITING: u64 = 1024;
/// Those among them that the recorder is told of at a time: it needs two descriptors for each, and the socket has room for no more.
const MAX_TOLD: usize = 128;
/// Descriptors beside those, enough for one read of events. The kernel does not run a program if it can give the responder no
/// descriptor for it.
const SPARE_DESCRIPTORS: u64 = 512;
/// When it is tried again to tell of one, if there was no room.
const PAUSE: Duration = Duration::from_millis(5);

/// Name of the process, and its command line: one that neither `pkill tracer` nor `pkill -f 'tracer record'` finds, as
/// stopping it would stop the machine.
const NAME: &std::ffi::CStr = c"exec-responder";

/// Whether the kernel asks at all.
///
/// # Errors
/// When it was built without `CONFIG_FANOTIFY_ACCESS_PERMISSIONS`.
pub(super) fn probe(fanotify: &Fanotify) -> io::Result<()> {
    let here = std::fs::File::open("/")?;
    for flags in [MarkFlags::FAN_MARK_ADD, MarkFlags::FAN_MARK_REMOVE] {
        fanotify.mark(flags, MaskFlags::FAN_OPEN_EXEC_PERM, &here, Some("/proc/self/exe"))?;
    }
    Ok(())
}

/// Runs the responder in a child of this process. `admitted` has the processes that are recorded, if not all are. Returns its
/// process and the recorder's end of the socket.
///
/// # Errors
/// When processes or descriptors are short.
pub(super) fn start(fanotify: Fanotify, admitted: Option<&Map>) -> io::Result<(Pid, OwnedFd)> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    // SAFETY: the C library allows the child of a process with several threads to allocate; it takes no other lock that
    // another thread could have held.
    match unsafe { libc::fork() } {
        0 => {
            drop(ours);
            // Whatever goes wrong: the kernel lets every process go when the descriptor is closed. A panic must not
            // unwind into what the recorder was doing.
            let _ = catch_unwind(AssertUnwindSafe(|| {
                let room = go_apart(&[fanotify.as_raw_fd(), theirs.as_raw_fd()], admitted);
                let waiting = VecDeque::new();
                Responder {
                    fanotify,
                    recorder: theirs,
                    admitted,
                    room,
                    waiting,
                    told: 0,
                    is_full: false,
                    ids: 0,
                    has_begun: false,
                    is_stalled: false,
                    released: 0,
                    last_released: 0,
                }
                .respond()
            }));
            // SAFETY: ends the child at once, without running what the recorder wants run at its own end.
            unsafe { libc::_exit(0) }
        }
        pid => {
            let pid = Pid::from_raw(pid).filter(|_| pid > 0).ok_or_else(io::Error::last_os_error)?;
            Ok((pid, ours))
        }
    }
}

/// Leaves all that it has in common with the recorder. Tells how many processes may wait.
fn go_apart(kept: &[i32], admitted: Option<&Map>) -> usize {
    // SAFETY: plain system calls on values of this stack frame. Signals are blocked, so that Ctrl-C and Ctrl-Z concern the
    // recorder only.
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut());
        libc::setsid();
        libc::prctl(libc::PR_SET_NAME, NAME.as_ptr());
    }
    rename_command_line();
    // In the first control group, which cannot be frozen: a session that is frozen, as some systems do before they
    // sleep, would take all others with it. Where that is not allowed, it stays where it is.
    for folder in mounts::freezers() {
        let _ = std::fs::write(folder.join("cgroup.procs"), "0");
    }
    let limit = getrlimit(Resource::Nofile);
    let descriptors = limit.current.unwrap_or(u64::MAX).max(MAX_WAITING + SPARE_DESCRIPTORS);
    let maximum = limit.maximum.map(|maximum| maximum.max(descriptors));
    // Without the right to raise it, as many wait as there is room for.
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(descriptors), maximum });
    let descriptors = if raised.is_ok() { descriptors } else { limit.current.unwrap_or(u64::MAX) };
    let mut kept = kept.to_vec();
    kept.extend(admitted.map(|map| map.as_fd().as_raw_fd()));
    close_all_but(kept);
    let room = descriptors.saturating_sub(SPARE_DESCRIPTORS).max(descriptors / 2).min(MAX_WAITING);
    usize::try_from(room).unwrap_or(0)
}

/// Replaces the command line, which `fork` copied from the recorder, in this process alone.
fn rename_command_line() {
    // Fields 48 and 49 behind the name: where the command line begins and ends.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let mut addresses = fields.split(' ').skip(48 - 3).map_while(|field| field.parse::<usize>().ok());
    let (Some(start), Some(end)) = (addresses.next(), addresses.next()) else { return };
    let name = NAME.to_bytes();
    if start == 0 || end.saturating_sub(start) <= name.len() {
        return;
    }
    let target = std::ptr::with_exposed_provenance_mut::<u8>(start);
    // SAFETY: the kernel put the words of the command line there, in memory of this process that may be written and that
    // nothing reads at the same time: the child has one thread, which does not ask for its arguments.
    unsafe {
        target.write_bytes(0, end - start);
        target.copy_from_nonoverlapping(name.as_ptr(), name.len());
    }
}

/// The responder at work.
struct Responder<'a> {
    fanotify: Fanotify,
    recorder: OwnedFd,
    admitted: Option<&'a Map>,
    /// How many may wait.
    room: usize,
    /// Those that wait for the recorder, the longest first.
    waiting: VecDeque<HeldEvent>,
    /// How many of them, the first ones, the recorder was told of.
    told: usize,
    /// There was no room to tell of the next one.
    is_full: bool,
    ids: u64,
    /// The recorder is ready to be told of programs.
    has_begun: bool,
    /// The recorder was too slow once and has not answered since: processes are no longer held for it.
    is_stalled: bool,
    /// Processes that were released since the recorder was told so.
    released: u64,
    /// The last of them.
    last_released: i32,
}

/// A process that waits to run a program.
struct HeldEvent {
    id: u64,
    pid: u32,
    event: FanotifyEvent,
    /// CLOCK_MONOTONIC.
    since_ns: u64,
    until: Instant,
}

impl Responder<'_> {
    /// Answers until the recorder is gone.
    fn respond(&mut self) -> io::Result<()> {
        loop {
            let timeout = self.waiting.front().map(|first| {
                let left = first.until.saturating_duration_since(Instant::now());
                let left = if self.is_full { left.min(PAUSE) } else { left };
                Timespec::try_from(left).expect("at most the limit")
            });
            let mut ready =
                [PollFd::new(&self.fanotify, PollFlags::IN), PollFd::new(&self.recorder, PollFlags::IN)];
            match poll(&mut ready, timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let [asked, said] = ready.map(|fd| !fd.revents().is_empty());
            if said && !self.listen()? {
                self.tell_released();
                return Ok(());
            }
            if asked {
                self.ask()?;
            }
            self.release_late()?;
            self.tell_waiting()?;
            // While it is stalled, it would be told of each.
            if !self.is_stalled {
                self.tell_released();
            }
        }
    }

    /// Reads what the kernel asks.
    fn ask(&mut self) -> io::Result<()> {
        let events = match self.fanotify.read_events() {
            Ok(events) => events,
            Err(nix::Error::EAGAIN | nix::Error::EINTR) => return Ok(()),
            // One question could not be read, which the kernel answers itself.
            Err(_) => return Ok(()),
        };
        for event in events {
            let id = self.ids;
            let (Some(_), Ok(pid)) = (event.fd(), u32::try_from(event.pid())) else { continue };
            if !self.has_begun || !self.may_matter(&event, pid) {
                self.run(&event)?;
                continue;
            }
            if self.waiting.len() >= self.room || self.is_stalled {
                self.release(&event)?;
                continue;
            }
            self.ids += 1;
            let (since_ns, until) = (monotonic_ns(), Instant::now() + LIMIT);
            self.waiting.push_back(HeldEvent { id, pid, event, since_ns, until });
        }
        Ok(())
    }

    /// Tells the recorder of those that wait, as far as it keeps up.
    fn tell_waiting(&mut self) -> io::Result<()> {
        self.is_full = false;
        while self.told < MAX_TOLD
            && let Some(HeldEvent { id, pid, event, since_ns, .. }) = self.waiting.get(self.told)
        {
            let message = Message::Waits { id: *id, pid: *pid, since_ns: *since_ns };
            match message::send(self.recorder.as_fd(), message, event.fd()) {
                Ok(()) => self.told += 1,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.is_full = true;
                    break;
                }
                Err(_) => {
                    if let Some(waiting) = self.waiting.remove(self.told) {
                        self.release(&waiting.event)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether the recorder has to know of it: a recorded process, or one that may be harmed by what is attached.
    fn may_matter(&self, event: &FanotifyEvent, pid: u32) -> bool {
        let Some(admitted) = self.admitted else { return true };
        admitted.lookup(&pid.to_le_bytes(), &mut [0]).is_ok()
            || event.fd().is_some_and(|fd| translator::is_translator(&path_of(fd)))
    }

    /// Takes a message of the recorder; false if it is gone.
    fn listen(&mut self) -> io::Result<bool> {
        loop {
            match message::receive(&self.recorder) {
                Ok(Some((Message::Run { id }, _))) => {
                    self.is_stalled = false;
                    // It may have been released already.
                    if let Some(position) = self.waiting.iter().position(|waiting| waiting.id == id)
                        && let Some(waiting) = self.waiting.remove(position)
                    {
                        self.told -= 1;
                        self.run(&waiting.event)?;
                    }
                }
                Ok(Some((Message::Watch, Some(file)))) => self.watch(&file),
                Ok(Some((Message::Begin, _))) => {
                    self.has_begun = true;
                    message::send(self.recorder.as_fd(), Message::Begin, None)?;
                }
                Ok(Some(_)) => {}
                Ok(None) => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error),
            }
        }
    }

    /// Holds programs on the file system of `file` from now on.
    fn watch(&self, file: &OwnedFd) {
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let flags = MarkFlags::FAN_MARK_ADD | MarkFlags::FAN_MARK_FILESYSTEM;
        // Refused for what the kernel keeps to itself. Programs there are found as soon as they run.
        let _ = self.fanotify.mark(flags, MaskFlags::FAN_OPEN_EXEC_PERM, file, Some(&path[..]));
    }

    /// Lets those run that have waited for long enough.
    fn release_late(&mut self) -> io::Result<()> {
        let now = Instant::now();
        while let Some(late) = self.waiting.pop_front_if(|first| first.until <= now) {
            self.is_stalled = true;
            self.told = self.told.saturating_sub(1);
            self.release(&late.event)?;
        }
        Ok(())
    }

    /// Lets a process run its program before the recorder has seen it.
    fn release(&mut self, event: &FanotifyEvent) -> io::Result<()> {
        // It asks for its program, then for what loads that.
        self.released += u64::from(self.released == 0 || self.last_released != event.pid());
        self.last_released = event.pid();
        self.run(event)
    }

    /// Says how many processes were released.
    fn tell_released(&mut self) {
        let told = Message::Released { count: self.released };
        if self.released > 0 && message::send(self.recorder.as_fd(), told, None).is_ok() {
            self.released = 0;
        }
    }

    fn run(&self, event: &FanotifyEvent) -> io::Result<()> {
        let Some(fd) = event.fd() else { return Ok(()) };
        match self.fanotify.write_response(FanotifyResponse::new(fd, Response::FAN_ALLOW)) {
            // The process may have been killed meanwhile.
            Ok(()) | Err(nix::Error::ENOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
