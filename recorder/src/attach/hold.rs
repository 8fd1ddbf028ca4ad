//! Holds programs before their first instruction until their probes are attached, without the process or its parent noticing.
//!
//! The kernel (fanotify) asks before a process runs a program, and the process sleeps inside of its system call until the
//! answer: no signal, no stop, nothing that a parent, a shell or a debugger could notice. [`responder`] is asked, and gives the answer
//! after [`LIMIT`] at the latest; a looker (`find`) tells what the process wants to run; [`familiar`] what needs no second look.
//! Nothing is attached here: a process that waits is handed on as [`Held`].

mod answered;
mod familiar;
mod message;
mod mounts;
mod responder;
mod translator;

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracer_format::Skipped;

use nix::sys::fanotify::{EventFFlags, Fanotify, InitFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, WaitOptions, waitpid};

use crate::find::look::lookers::Lookers;
use crate::find::look::{self, Asked};
use crate::host::monotonic_ns;
use crate::kernel::bpf::Map;
use answered::Answered;
use message::Message;
use mounts::Mounts;
use responder::LIMIT;

pub(crate) use familiar::{Familiar, MappedStates, Question};
pub(crate) use translator::is_translator;

/// Whether programs can be held here.
///
/// # Errors
/// As [`Holder::start`].
pub(crate) fn check() -> io::Result<()> {
    responder::probe(&listener()?)
}

/// What the kernel asks through.
fn listener() -> io::Result<Fanotify> {
    let flags = InitFlags::FAN_CLASS_CONTENT
        | InitFlags::FAN_CLOEXEC
        | InitFlags::FAN_NONBLOCK
        | InitFlags::FAN_UNLIMITED_QUEUE
        | InitFlags::FAN_UNLIMITED_MARKS;
    let of_events = EventFFlags::O_RDONLY | EventFFlags::O_CLOEXEC | EventFFlags::O_LARGEFILE;
    Ok(Fanotify::init(flags, of_events)?)
}

/// A process that waits to run a program; it runs it when this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    /// The process.
    pub(crate) pid: u32,
    /// What the kernel has opened to run it (the program, the interpreter of a script, the loader of a program), and what
    /// the process has named, if that is another file.
    pub(crate) programs: Vec<AboutToRun>,
    /// Variables of its environment that the loader heeds, as `NAME=VALUE`.
    pub(crate) variables: Vec<OsString>,
    /// Whether another thread than the first asks, which the kernel then makes the first of the process.
    pub(crate) is_by_other_thread: bool,
    /// `None` if the answer would not hold for the next process that asks.
    pub(crate) question: Option<Question>,
    pub(crate) answer: Answer,
}

/// A program that is about to run.
#[derive(Debug)]
pub(crate) struct AboutToRun {
    /// Path, as the process sees it.
    pub(crate) path: PathBuf,
    pub(crate) file: OwnedFd,
    /// What it is given, without its name; empty if that cannot be seen.
    pub(crate) arguments: Vec<OsString>,
}

/// Lets a process go on when it is dropped.
#[derive(Debug)]
pub(crate) struct Answer {
    socket: Arc<OwnedFd>,
    id: u64,
    pid: u32,
    /// When the kernel asked: CLOCK_MONOTONIC, ns.
    since_ns: u64,
    /// Whether what it asked about could be seen.
    pub(crate) is_seen: bool,
    answered: Arc<Answered>,
}

impl Answer {
    /// How long it has been waited for.
    pub(crate) fn age(&self) -> Duration {
        Duration::from_nanos(monotonic_ns().saturating_sub(self.since_ns))
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // After that it runs already.
        if self.is_seen && self.age() < LIMIT {
            self.answered.note(self.pid, monotonic_ns());
        }
        // Without a responder no process is held.
        let _ = message::send_within(self.socket.as_fd(), Message::Run { id: self.id }, ROOM_PATIENCE);
    }
}

/// What the responder tells.
#[derive(Debug)]
pub(crate) enum Told {
    /// A process waits.
    Held(Box<Held>),
    /// So many processes were not held for as long as it took.
    Released(u64),
    /// One process could not be looked at while it waited.
    Unseen,
    /// Files or memory did not answer.
    Skipped(Skipped),
}

/// Holds programs; ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Holder {
    socket: Arc<OwnedFd>,
    responder: Pid,
    mounts: Mutex<Mounts>,
    lookers: Mutex<Lookers>,
    /// Programs that are not held.
    pub(crate) familiar: Familiar,
    is_stopped: AtomicBool,
    answered: Arc<Answered>,
    /// When it began: CLOCK_MONOTONIC, ns.
    begun_ns: u64,
}

/// How long an answer waits for room in the socket: the responder has to get a processor.
const ROOM_PATIENCE: Duration = Duration::from_secs(1);
impl Holder {
    /// Begins to hold every program, or only those of the processes in `admitted`, and of translators.
    ///
    /// # Errors
    /// When the kernel does not allow it (no CAP_SYS_ADMIN, no `CONFIG_FANOTIFY_ACCESS_PERMISSIONS`), or is short of something.
    pub(crate) fn start(admitted: Option<&Map>) -> io::Result<Self> {
        let fanotify = listener()?;
        responder::probe(&fanotify)?;
        let (responder, socket) = responder::start(fanotify, admitted)?;
        let mut holder = Self {
            socket: Arc::new(socket),
            responder,
            mounts: Mutex::new(Mounts::new()),
            lookers: Mutex::default(),
            familiar: Familiar::default(),
            is_stopped: AtomicBool::new(false),
            answered: Arc::default(),
            begun_ns: u64::MAX,
        };
        holder.mounts().look_everywhere(&mut holder.lookers(), &mut |file| holder.watch(&file));
        message::send(holder.socket.as_fd(), Message::Begin, None)?;
        // On a busy machine it takes a while until another process runs.
        let mut ready = [PollFd::new(&*holder.socket, PollFlags::IN)];
        poll(&mut ready, Some(&Timespec { tv_sec: 10, tv_nsec: 0 }))?;
        match message::receive(&*holder.socket)? {
            Some((Message::Begin, _)) => {
                holder.begun_ns = monotonic_ns();
                Ok(holder)
            }
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Hands on what the responder tells, until [`Holder::stop`]. Familiar programs run at once.
    ///
    /// # Errors
    /// When the responder is gone before that.
    pub(crate) fn listen(&self, hand: &mut dyn FnMut(Told)) -> io::Result<()> {
        let table = File::open("/proc/self/mountinfo")?;
        loop {
            let mut ready = [PollFd::new(&*self.socket, PollFlags::IN), PollFd::new(&table, PollFlags::PRI)];
            match poll(&mut ready, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let [told, mounted] = ready.map(|fd| !fd.revents().is_empty());
            if mounted {
                self.mounts().look_at_ours(&mut self.lookers(), &mut |file| self.watch(&file));
            }
            if !told {
                continue;
            }
            let told = match message::receive(&*self.socket) {
                // Its process runs when the responder ends.
                Ok(Some((Message::Waits { .. }, _))) if self.is_stopped.load(Ordering::Relaxed) => continue,
                Ok(Some((Message::Waits { id, pid, since_ns }, file))) => {
                    let (socket, answered) = (self.socket.clone(), self.answered.clone());
                    let answer = Answer { socket, id, pid, since_ns, is_seen: false, answered };
                    let held = file.map(|file| self.held(answer, pid, file));
                    self.lookers().take_skipped().into_iter().for_each(|it| hand(Told::Skipped(it)));
                    match held {
                        Some(Ok(held)) => Told::Held(Box::new(held)),
                        Some(Err(Unheld::Familiar)) => continue,
                        // No descriptor was left for its file, or its memory does not answer.
                        Some(Err(Unheld::Unseen)) | None => Told::Unseen,
                    }
                }
                Ok(Some((Message::Released { count }, _))) => Told::Released(count),
                Ok(Some(_)) => continue,
                Ok(None) if self.is_stopped.load(Ordering::Relaxed) => {
                    self.lookers().close().into_iter().for_each(|it| hand(Told::Skipped(it)));
                    return Ok(());
                }
                Ok(None) => return Err(io::ErrorKind::BrokenPipe.into()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            };
            hand(told);
        }
    }

    /// Whether the program that process `pid` began to run at `time_ns` was held until it had been looked at, or this began later than
    /// that; to be called once for each, in order.
    pub(crate) fn has_held(&self, pid: u32, time_ns: u64) -> bool {
        time_ns < self.begun_ns || self.answered.take(pid, time_ns)
    }

    /// Releases every process, and makes [`Holder::listen`] return.
    pub(crate) fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
        // Fails only if the responder is gone, which is what is wanted.
        let _ = rustix::net::shutdown(&*self.socket, rustix::net::Shutdown::Write);
    }

    /// Looks at what process `pid` has mounted, if that is not what the recorder has.
    pub(crate) fn look_at_mounts(&self, pid: u32) {
        self.mounts().look_at_other(pid, &mut self.lookers(), &mut |file| self.watch(&file));
    }

    /// What is known of a process that waits to run `file`.
    fn held(&self, mut answer: Answer, pid: u32, file: OwnedFd) -> Result<Held, Unheld> {
        self.look_at_mounts(pid);
        let lookers = &mut self.lookers();
        let asked = lookers.ask::<Option<Asked>>(pid, &look::Query::Call(pid), Some(file.as_fd()));
        let Ok((Some(asked), place)) = asked else { return Err(Unheld::Unseen) };
        answer.is_seen = true;
        let Asked { opened: (path, opened), named, arguments, variables, is_by_first_thread, root } = asked;
        let named = named.zip(place);
        let question = named.as_ref().map(|((_, named), _)| {
            let (named, variables) = (*named, variables.clone());
            Question { opened, named, variables, root }
        });
        // A translator is harmed by what was attached since; a thread may leave what is attached to its process alone.
        let mut ask = |pid: u32, question: &look::Query| Some(lookers.ask(pid, question, None).ok()?.0);
        if question.as_ref().is_some_and(|question| self.familiar.knows(question, pid, &mut ask))
            && !is_translator(&path)
            && is_by_first_thread
        {
            return Err(Unheld::Familiar);
        }
        let mut programs = vec![AboutToRun { path, file, arguments: Vec::new() }];
        match named {
            Some(((path, _), file)) if question.as_ref().is_some_and(Question::is_of_two) => {
                programs.push(AboutToRun { path, file, arguments });
            }
            _ => programs[0].arguments = arguments,
        }
        // With its arguments, a loader that was started by name maps what they say.
        let question = question.filter(|question| question.is_of_two() || !is_loader(&programs[0].path));
        let is_by_other_thread = !is_by_first_thread;
        Ok(Held { pid, programs, variables, is_by_other_thread, question, answer })
    }

    fn watch(&self, file: &OwnedFd) {
        // Full only if the responder does not run, and then no process is held either.
        let _ = message::send(self.socket.as_fd(), Message::Watch, Some(file.as_fd()));
    }

    fn lookers(&self) -> std::sync::MutexGuard<'_, Lookers> {
        self.lookers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mounts(&self) -> std::sync::MutexGuard<'_, Mounts> {
        self.mounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.stop();
        let _ = waitpid(Some(self.responder), WaitOptions::empty());
    }
}

/// Why a process is not held.
enum Unheld {
    /// Its program needs no second look.
    Familiar,
    /// What it runs cannot be seen.
    Unseen,
}

/// Whether the program at `path` is a loader, `ld-linux-x86-64.so.2` or `ld-musl-x86_64.so.1`.
fn is_loader(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"ld"))
}
