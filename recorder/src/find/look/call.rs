//! What a process that waits in `execve` has asked for: the program, its arguments and the loader's part of its environment.
//!
//! The process has not begun to run the new program, so what `/proc` says is of the old one. The arguments of the system call are in
//! its registers, and what they point to is in its memory.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::find::root::{self, Root};
use crate::host::helper::board;
use crate::host::process;

/// Longest path, argument or variable that the kernel takes, bytes: `MAX_ARG_STRLEN` of its `include/uapi/linux/binfmts.h`. With a
/// longer one the process runs no program.
const MAX_TEXT_BYTES: usize = 128 << 10;
/// More arguments and variables than the kernel takes: an address and a NUL of each are in at most 6 MiB (`bprm_stack_limits` of its
/// fs/exec.c).
const MAX_WORDS: usize = (6 << 20) / 9 + 1;
/// Bytes of memory that are read at a time.
const PIECE_BYTES: usize = 16 << 10;
/// How long a process that asked may take until it sleeps: on a busy machine it waits for a processor meanwhile.
const PATIENCE: Duration = Duration::from_millis(300);
const FIRST_PAUSE: Duration = Duration::from_micros(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(1);

/// A call of `execve` or `execveat` that waits.
#[derive(Debug)]
pub(crate) struct ExecCall {
    memory: File,
    /// Folder or file that the path counts from; `None` for the working folder.
    folder: Option<i32>,
    path: u64,
    arguments: u64,
    environment: u64,
    /// Whether the first thread of the process makes the call; any other takes its place.
    pub(crate) is_by_first_thread: bool,
}

impl ExecCall {
    /// The call that process `pid` waits in; `None` if it cannot be seen, for instance because a 32-bit program makes it.
    pub(crate) fn read(pid: u32) -> Option<Self> {
        let until = Instant::now() + PATIENCE;
        let mut pause = FIRST_PAUSE;
        loop {
            // Each try is new: nothing is silent here.
            board::at(Path::new("/proc").join(pid.to_string()).as_path());
            match Self::read_once(pid) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < until => {
                    board::rest(pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                other => return other.ok(),
            }
        }
    }

    fn read_once(pid: u32) -> io::Result<Self> {
        let process = PathBuf::from(format!("/proc/{pid}"));
        // In most cases the first thread asks, and there is no other.
        let main = Self::of_thread(&process, true);
        let mut is_running = main.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        if main.is_ok() || is_running {
            return main;
        }
        for thread in std::fs::read_dir(process.join("task"))? {
            match Self::of_thread(&thread?.path(), false) {
                Ok(call) => return Ok(call),
                Err(error) => is_running |= error.kind() == io::ErrorKind::WouldBlock,
            }
        }
        Err(if is_running { io::ErrorKind::WouldBlock } else { io::ErrorKind::NotFound }.into())
    }

    /// The call of the thread that `folder` in `/proc` is of; `WouldBlock` if it does not sleep yet.
    fn of_thread(folder: &Path, is_by_first_thread: bool) -> io::Result<Self> {
        let text = std::fs::read_to_string(folder.join("syscall"))?;
        if text.starts_with("running") {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let call = Registers::parse(&text).ok_or(io::ErrorKind::NotFound)?;
        board::at(&folder.join("mem"));
        Ok(Self {
            memory: File::open(folder.join("mem"))?,
            folder: call.folder,
            path: call.path,
            arguments: call.arguments,
            environment: call.environment,
            is_by_first_thread,
        })
    }

    /// The program that process `pid` has named, and its path as the process sees it; `None` if it cannot be opened.
    pub(crate) fn program(&self, pid: u32) -> Option<(PathBuf, File)> {
        let path = PathBuf::from(Texts::new(&self.memory).text(self.path));
        let file = match self.folder {
            Some(fd) if !path.is_absolute() => {
                let folder = PathBuf::from(format!("/proc/{pid}/fd/{fd}"));
                // An empty path is the descriptor itself.
                root::open(&if path.as_os_str().is_empty() { folder } else { folder.join(&path) })
            }
            _ => Root::of_process(pid).open(&path),
        };
        let file = file.ok()?;
        let has_name = path.is_absolute() && root::of_itself(&path).is_none();
        let path = if has_name { path } else { path_of(file.as_fd()) };
        Some((path, file))
    }

    /// The arguments, with the name of the program first.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let mut memory = Texts::new(&self.memory);
        self.pointers(self.arguments).into_iter().map(|address| memory.text(address)).collect()
    }

    /// Variables whose names begin with `prefix`, as `NAME=VALUE`.
    pub(crate) fn variables(&self, prefix: &str) -> Vec<OsString> {
        let mut memory = Texts::new(&self.memory);
        let mut found = self.pointers(self.environment);
        found.retain(|address| memory.at(*address, prefix.len()).starts_with(prefix.as_bytes()));
        found.into_iter().map(|address| memory.text(address)).collect()
    }

    /// The list of addresses at `address`, which ends with a 0.
    fn pointers(&self, mut address: u64) -> Vec<u64> {
        let mut pointers = Vec::new();
        let mut bytes = [0; 1024];
        while pointers.len() < MAX_WORDS {
            // It may end where the memory ends.
            let read = self.memory.read_at(&mut bytes, address).unwrap_or(0) / 8 * 8;
            if read == 0 {
                break;
            }
            for word in bytes[..read].as_chunks::<8>().0 {
                match u64::from_le_bytes(*word) {
                    0 => return pointers,
                    pointer => pointers.push(pointer),
                }
            }
            address = address.wrapping_add(read as u64);
        }
        pointers
    }
}

/// Texts in the memory of a process, which is read piece by piece: arguments and variables mostly lie one behind the other.
struct Texts<'a> {
    memory: &'a File,
    /// Where the present piece begins.
    begin: u64,
    bytes: Vec<u8>,
}

impl<'a> Texts<'a> {
    fn new(memory: &'a File) -> Self {
        Self { memory, begin: 0, bytes: Vec::new() }
    }

    /// What lies at `address`: at least `count` bytes, if so many can be read.
    fn at(&mut self, address: u64, count: usize) -> &[u8] {
        let offset = usize::try_from(address.wrapping_sub(self.begin)).unwrap_or(usize::MAX);
        if offset.checked_add(count).is_some_and(|end| end <= self.bytes.len()) {
            return &self.bytes[offset..];
        }
        self.bytes.resize(PIECE_BYTES, 0);
        let read = self.memory.read_at(&mut self.bytes, address).unwrap_or(0);
        self.bytes.truncate(read);
        self.begin = address;
        &self.bytes
    }

    /// The text at `address`, which ends with a NUL; what cannot be read is empty.
    fn text(&mut self, mut address: u64) -> OsString {
        let mut text = Vec::new();
        while text.len() < MAX_TEXT_BYTES {
            let bytes = self.at(address, 1);
            let end = bytes.iter().position(|byte| *byte == 0);
            let part = &bytes[..end.unwrap_or(bytes.len())];
            text.extend_from_slice(part);
            if end.is_some() || part.is_empty() {
                break;
            }
            address = address.wrapping_add(part.len() as u64);
        }
        OsString::from_vec(text)
    }
}

/// Path of an open file, without the kernel's mark of a deleted one.
pub(crate) fn path_of(file: BorrowedFd<'_>) -> PathBuf {
    let path = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap_or_default();
    process::undeleted(&path)
}

/// The arguments of the system call, as `/proc/PID/syscall` prints them.
#[derive(Debug, PartialEq, Eq)]
struct Registers {
    folder: Option<i32>,
    path: u64,
    arguments: u64,
    environment: u64,
}

impl Registers {
    /// `NUMBER 0xARG0 ... 0xARG5 0xSP 0xPC`; `None` unless it is `execve` or `execveat`.
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let number: i64 = words.next()?.parse().ok()?;
        let mut word = || u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok();
        let folder = match number {
            libc::SYS_execve => None,
            // The register is wider than the number.
            libc::SYS_execveat => Some(i32::from_le_bytes(word()?.to_le_bytes()[..4].try_into().ok()?)),
            _ => return None,
        };
        let folder = folder.filter(|folder| *folder != libc::AT_FDCWD);
        Some(Self { folder, path: word()?, arguments: word()?, environment: word()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_the_call_are_known_and_no_other() {
        let call = |folder| Registers { folder, path: 0x10, arguments: 0x20, environment: 0x30 };
        let execve = format!("{} 0x10 0x20 0x30 0x0 0x0 0x0 0x7ff 0x7fe\n", libc::SYS_execve);
        assert_eq!(Registers::parse(&execve), Some(call(None)));
        for (fd, expected) in [("0x3", Some(3)), ("0xffffff9c", None), ("0xffffffffffffff9c", None)] {
            let text = format!("{} {fd} 0x10 0x20 0x30 0x1000 0x0 0x7ff 0x7fe\n", libc::SYS_execveat);
            assert_eq!(Registers::parse(&text), Some(call(expected)), "{fd}");
        }
        for text in ["running\n", "", "-1 0x7ff 0x7fe", "0 0x1 0x2 0x3 0x4 0x5 0x6 0x7 0x8", "59", "59 0x1"] {
            assert_eq!(Registers::parse(text), None, "{text}");
        }
    }

    #[test]
    fn texts_and_lists_are_read_from_memory() {
        let long = "x".repeat(1000);
        let texts = [
            c"LD_PRELOAD=/lib/a.so".to_owned(),
            std::ffi::CString::new(format!("LD_B={long}")).unwrap(),
            c"PATH=/".into(),
        ];
        let list: Vec<u64> =
            texts.iter().map(|text| text.as_ptr().expose_provenance() as u64).chain([0]).collect();
        let address = list.as_ptr().expose_provenance() as u64;
        let path = texts[2].as_ptr().expose_provenance() as u64;
        let memory = File::open("/proc/self/mem").unwrap();
        let call = ExecCall {
            memory,
            folder: Some(3),
            path,
            arguments: address,
            environment: address,
            is_by_first_thread: true,
        };
        assert_eq!(call.arguments().len(), 3);
        let variables = call.variables("LD_");
        assert_eq!(variables, ["LD_PRELOAD=/lib/a.so", &format!("LD_B={long}")]);
        assert_eq!(Texts::new(&call.memory).text(8), "");
        assert!(call.pointers(8).is_empty());
    }

    /// The last variable of a large environment counts as the first one does, however long it is.
    #[test]
    fn nothing_that_the_kernel_takes_is_cut() {
        let text = std::ffi::CString::new("A=b".repeat(40_000)).unwrap();
        let last = std::ffi::CString::new(format!("LD_PRELOAD={}", "/x".repeat(60_000))).unwrap();
        let address = |text: &std::ffi::CString| text.as_ptr().expose_provenance() as u64;
        let mut list = vec![address(&text); 100_000];
        list.extend([address(&last), 0]);
        let environment = list.as_ptr().expose_provenance() as u64;
        let memory = File::open("/proc/self/mem").unwrap();
        let call =
            ExecCall { memory, folder: None, path: 0, arguments: 0, environment, is_by_first_thread: true };
        assert_eq!(call.variables("LD_"), [last.to_str().unwrap()]);
        assert_eq!(Texts::new(&call.memory).text(address(&text)), text.to_str().unwrap());
    }
}
