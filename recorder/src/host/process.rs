//! Facts of a process from `/proc/PID`: its parent, start time, program and command line.
//!
//! A process chooses its own name and command line, and it may be gone between two reads; what cannot be read is empty.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracer_format::limits::MAX_COMMAND_WORDS;
use tracer_format::{CUT_MARK, Process};

use crate::host::user;

/// Facts of process `pid`, or `None` if there is no such process any more; `host` is left 0. `command` reads its command line, each
/// word with a NUL behind it, from its folder in `/proc`: its memory, which may not answer.
#[must_use]
pub fn read(pid: u32, command: &mut dyn FnMut(&Path) -> Vec<u8>) -> Option<Process> {
    let stat = parse_stat(&read_file(format!("/proc/{pid}/stat")).ok()?)?;
    let folder = folder(pid);
    let executable = fs::read_link(folder.join("exe")).map(|path| undeleted(&path)).unwrap_or_default();
    let program = executable.file_name().map(|name| name.to_string_lossy().into_owned());
    Some(Process {
        pid,
        parent_pid: stat.parent_pid,
        start_ns: nanoseconds(stat.start_ticks),
        program: program.unwrap_or(stat.name).into(),
        executable: executable.to_string_lossy().into(),
        command: Some(command(&folder))
            .filter(|text| !text.is_empty())
            .map_or_else(Vec::new, |text| command_words(&text, text.len() as u64 == MAX_COMMAND_BYTES))
            .into_iter()
            .map(Arc::from)
            .collect(),
        ..Process::default()
    })
}

/// Process ids that exist, in ascending order.
///
/// # Errors
/// If `/proc` cannot be read, or shows no processes, not even this one.
pub fn pids() -> io::Result<Vec<u32>> {
    let mut pids: Vec<u32> =
        fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    if pids.is_empty() {
        return Err(io::Error::other("nothing is mounted there (mount -t proc proc /proc)"));
    }
    pids.sort_unstable();
    Ok(pids)
}

/// What an id in `/proc` stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status {
    /// The process, which for a thread is another id.
    pub(crate) process: u32,
    /// The name that it gives itself, cut by the kernel.
    pub(crate) name: String,
    pub(crate) is_kernel_thread: bool,
}

/// What the id stands for, which may be that of a thread; `None` if there is none. Needs no privilege.
pub(crate) fn status(id: u32) -> Option<Status> {
    let text = read_file(format!("/proc/{id}/status")).ok()?;
    let text = String::from_utf8_lossy(&text);
    let field =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let stat = parse_stat(&read_file(format!("/proc/{id}/stat")).ok()?)?;
    Some(Status {
        process: field("Tgid")?.parse().ok()?,
        name: stat.name,
        is_kernel_thread: stat.flags & PF_KTHREAD != 0,
    })
}

/// Whose process it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The user that started it, as [`user::behind`] gives it: also of a program that takes the rights of another user.
    pub(crate) user: u32,
    /// When it started, clock ticks: tells it from one that has its id later.
    pub(crate) start: u64,
    /// File name of its executable.
    pub(crate) program: String,
}

/// Stands for processes that have ended, whatever they were: what they left is looked at as if one user had it, so that it takes
/// nothing from others.
pub(crate) const ENDED: u32 = u32::MAX;

/// Whose process `pid` is; this user's own if that is 0. One that is gone counts as [`ENDED`]: whoever ends a process in time takes
/// nothing from others. Touches none of its files and none of its memory.
pub(crate) fn owner(pid: u32) -> Owner {
    if pid == 0 {
        return Owner { user: 0, start: 0, program: String::new() };
    }
    let text = read_file(format!("/proc/{pid}/status")).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let uids = text.lines().find_map(|line| line.strip_prefix("Uid:"));
    let user = uids.and_then(|uids| uids.split_ascii_whitespace().next()?.parse().ok());
    let stat = read_file(format!("/proc/{pid}/stat")).ok().and_then(|stat| parse_stat(&stat));
    let (Some(user), Some(stat)) = (user, stat) else {
        return Owner { user: ENDED, start: 0, program: "a process that has ended".to_owned() };
    };
    let executable = fs::read_link(format!("/proc/{pid}/exe")).map(|path| undeleted(&path)).ok();
    let name = executable.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    Owner { user: user::behind(user), start: stat.start_ticks, program: name.unwrap_or(stat.name) }
}

/// Words for the processes of a user, as [`owner`] has it.
pub(crate) fn those_of(user: u32) -> String {
    if user == ENDED { "processes that have ended".to_owned() } else { format!("processes of user {user}") }
}

/// When process `pid` started, clock ticks; `None` if it is gone.
pub(crate) fn start(pid: u32) -> Option<u64> {
    Some(parse_stat(&read_file(format!("/proc/{pid}/stat")).ok()?)?.start_ticks)
}

/// Of the kernel's `include/linux/sched.h`: made by the kernel.
const PF_KTHREAD: u64 = 0x0020_0000;
/// Likewise: it is being taken down.
const PF_EXITING: u64 = 0x0000_0004;

/// The folder in `/proc` that shows what process `pid` runs and maps: its own, or where its main thread has ended, that of one
/// of its other threads.
#[must_use]
pub(crate) fn folder(pid: u32) -> PathBuf {
    program(pid).0
}

/// That folder, and the path of the executable as the process sees it, without the kernel's mark of a deleted file; an error if the
/// process is gone, is a kernel thread (no executable), or belongs to another user.
pub(crate) fn program(pid: u32) -> (PathBuf, io::Result<PathBuf>) {
    let link = |folder: &Path| fs::read_link(folder.join("exe")).map(|path| undeleted(&path));
    let own = PathBuf::from(format!("/proc/{pid}"));
    let executable = link(&own);
    let is_over = || read_file(own.join("stat")).ok().and_then(|stat| Some(parse_stat(&stat)?.state == b'Z'));
    if executable.is_ok() || is_over() != Some(true) {
        return (own, executable);
    }
    let threads = fs::read_dir(own.join("task")).into_iter().flatten();
    let folders = threads.filter_map(|entry| Some(Path::new("/proc").join(entry.ok()?.file_name())));
    let mut programs = folders.map(|folder| (link(&folder), folder));
    let found = programs.find_map(|(link, folder)| Some((folder, Ok(link.ok()?))));
    found.unwrap_or((own, executable))
}

/// Path of the executable of `pid` as the process sees it, without the kernel's mark of a deleted file.
///
/// # Errors
/// If the process is gone, is a kernel thread (no executable), or belongs to another user.
pub fn executable(pid: u32) -> io::Result<PathBuf> {
    program(pid).1
}

/// Whether process `pid` has ended, as far as this one may see.
pub(crate) fn is_gone(pid: u32) -> bool {
    executable(pid).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Whether the main thread of `pid` has begun to end, or is gone.
#[must_use]
pub(crate) fn is_ending(pid: u32) -> bool {
    let stat = read_file(format!("/proc/{pid}/stat")).ok().and_then(|stat| parse_stat(&stat));
    stat.is_none_or(|stat| stat.flags & PF_EXITING != 0)
}

/// Whether the main thread of `pid` has ended, but others run.
#[must_use]
pub(crate) fn has_lost_main_thread(pid: u32) -> bool {
    let stat = read_file(format!("/proc/{pid}/stat")).ok().and_then(|stat| parse_stat(&stat));
    let threads = || fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    stat.is_some_and(|stat| stat.state == b'Z') && threads() > 1
}

/// Path without the ` (deleted)` that the kernel puts behind paths of files that are gone.
#[must_use]
pub(crate) fn undeleted(path: &Path) -> PathBuf {
    let text = path.to_str().and_then(|text| text.strip_suffix(" (deleted)"));
    text.map_or_else(|| path.to_owned(), PathBuf::from)
}

/// What is in a file of `/proc`: these tell no size, and most are read in one call, where room for it is there.
pub(crate) fn read_file(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(4096);
    fs::File::open(path)?.take(u64::MAX).read_to_end(&mut text)?;
    Ok(text)
}

struct Stat {
    name: String,
    state: u8,
    parent_pid: u32,
    flags: u64,
    start_ticks: u64,
}

/// Parses `PID (NAME) STATE PARENT ...`; the name may hold blanks and brackets, so it ends at the last bracket.
fn parse_stat(text: &[u8]) -> Option<Stat> {
    let start = text.iter().position(|byte| *byte == b'(')? + 1;
    let end = text.iter().rposition(|byte| *byte == b')').filter(|end| *end >= start)?;
    let name = String::from_utf8_lossy(&text[start..end]).into_owned();
    // Behind the name is field 3.
    let mut fields = str::from_utf8(&text[end + 1..]).ok()?.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    let parent_pid = fields.next()?.parse().ok()?;
    let flags = fields.nth(9 - 5)?.parse().ok()?;
    let start_ticks = fields.nth(22 - 10)?.parse().ok()?;
    Some(Stat { name, state, parent_pid, flags, start_ticks })
}

/// A time in ns, cut to whole clock ticks as those in `/proc` are.
#[must_use]
pub(crate) fn in_ticks(time_ns: u64) -> u64 {
    let tick_ns = nanoseconds(1).max(1);
    time_ns / tick_ns * tick_ns
}

/// Clock ticks in ns.
fn nanoseconds(ticks: u64) -> u64 {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    u64::try_from(u128::from(ticks) * 1_000_000_000 / u128::from(per_second)).unwrap_or(u64::MAX)
}

/// Bytes of a command line that are read.
pub(crate) const MAX_COMMAND_BYTES: u64 = 64 << 10;

/// The words of a command line, each with a NUL behind it. With `is_full`, all room was taken, and what does not end with a NUL goes
/// on: it gets a mark. Of more words than a trace has room for, one too many is kept, so that what writes them cuts and marks them.
#[must_use]
pub(crate) fn command_words(text: &[u8], is_full: bool) -> Vec<String> {
    let whole = text.strip_suffix(b"\0");
    let words = whole.unwrap_or(text).split(|byte| *byte == 0).take(MAX_COMMAND_WORDS + 1);
    let mut words: Vec<String> = words.map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    if let Some(last) = words.last_mut().filter(|_| is_full && whole.is_none()) {
        last.push_str(CUT_MARK);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command_of(folder: &Path) -> Vec<u8> {
        fs::read(folder.join("cmdline")).unwrap()
    }

    #[test]
    fn this_process_is_described() {
        let process = read(std::process::id(), &mut command_of).unwrap();
        let executable = std::env::current_exe().unwrap();
        assert_eq!(*process.executable, *executable.to_str().unwrap());
        assert_eq!(*process.program, *executable.file_name().unwrap().to_str().unwrap());
        assert_eq!(process.parent_pid, std::os::unix::process::parent_id());
        assert!(process.command.iter().map(|word| &**word).eq(std::env::args()));
        let booted = fs::read_to_string("/proc/uptime").unwrap();
        let up_s: f64 = booted.split(' ').next().unwrap().parse().unwrap();
        let age_s = up_s - std::time::Duration::from_nanos(process.start_ns).as_secs_f64();
        assert!((0.0..3600.0).contains(&(age_s + 0.02)), "{age_s}");
        assert!(pids().unwrap().contains(&process.pid));
    }

    #[test]
    fn a_process_whose_main_thread_has_ended_is_seen_through_another_thread() {
        assert_eq!(folder(std::process::id()), Path::new("/proc").join(std::process::id().to_string()));
        // A shell cannot end its main thread alone; Python can.
        let script = "import ctypes,threading,time,sys\n\
            threading.Thread(target=time.sleep,args=(60,)).start()\n\
            print('runs',flush=True)\n\
            ctypes.CDLL(None).syscall(60,0)";
        let mut command = std::process::Command::new("python3");
        let child = command.args(["-c", script]).stdout(std::process::Stdio::piped()).spawn();
        let Ok(mut child) = child else { return eprintln!("skipped: needs python3") };
        let pid = child.id();
        let begun = std::time::Instant::now();
        while fs::read_link(format!("/proc/{pid}/exe")).is_ok() {
            assert!(begun.elapsed().as_secs() < 60, "the main thread does not end");
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        let found = (read(pid, &mut command_of).unwrap(), folder(pid));
        let _ = child.kill();
        let _ = child.wait();
        assert!(found.0.program.starts_with("python3") && found.0.command.len() == 3, "{found:?}");
        assert_ne!(found.1, Path::new("/proc").join(pid.to_string()));
    }

    #[test]
    fn a_process_that_is_not_there_is_none() {
        assert_eq!(read(u32::MAX, &mut command_of), None);
        assert!(executable(u32::MAX).is_err());
    }

    #[test]
    fn a_process_that_has_ended_is_nobody_s() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let uid = rustix::process::getuid().as_raw();
        let users = [0, std::process::id(), child.id(), ENDED].map(|pid| owner(pid).user);
        assert_eq!(users, [0, user::behind(uid), ENDED, ENDED]);
    }

    #[test]
    fn a_name_cannot_pretend_to_be_other_fields() {
        let numbers = "0 0 0 -1 4194304 1 0 0 0 1 2 3 4 20 0 1 0 777 1000";
        for name in ["cat", "a) R 1 (b", "(((", ")))", "", "x\ny z", "7 (7) R 7"] {
            let stat = parse_stat(format!("42 ({name}) S 7 {numbers}\n").as_bytes()).unwrap();
            assert_eq!((stat.name.as_str(), stat.parent_pid, stat.start_ticks), (name, 7, 777));
        }
        for text in ["", "42", "42 (cat", "42 )cat(", "42 (cat) S", "42 (cat) S 7 0 0"] {
            assert!(parse_stat(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn ticks_at_the_end_of_the_number_range_do_not_overflow() {
        assert_eq!(nanoseconds(u64::MAX), u64::MAX);
        assert_eq!(nanoseconds(rustix::param::clock_ticks_per_second()), 1_000_000_000);
    }

    #[test]
    fn the_mark_of_a_deleted_file_is_removed() {
        assert_eq!(undeleted(Path::new("/bin/app (deleted)")), Path::new("/bin/app"));
        assert_eq!(undeleted(Path::new("/bin/app")), Path::new("/bin/app"));
    }
}
