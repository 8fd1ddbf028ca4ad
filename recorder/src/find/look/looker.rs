//! The helper that looks: answers one question after the other, until the recorder is gone.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use tracer_format::grammar::Request;

use crate::error::Damage;
use crate::find::binary;
use crate::find::facts::{Facts, FileId};
use crate::find::launch::Launch;
use crate::find::launch::beside::Beside;
use crate::find::look::call::{self, ExecCall};
use crate::find::look::{
    Asked, Choice, Found, LaunchStep, MappedFiles, Query, Reading, Start, States, Unread, View,
};
use crate::find::mapping;
use crate::find::root;
use crate::host::helper::board;
use crate::host::helper::channel::Channel;
use crate::host::helper::confine;
use crate::host::helper::wire::{Wire, from_bytes, to_bytes};
use crate::host::process::MAX_COMMAND_BYTES;
use crate::kernel::twin;

/// `FUSE_SUPER_MAGIC` of the kernel's `linux/magic.h`.
const FUSE_MAGIC: i64 = 0x6573_5546;

/// Looks for `requests` until there are no questions any more.
pub(crate) fn look(channel: Channel, requests: &[Request]) {
    confine::to_reading();
    let mut looker = Looker { channel, requests, launch: None, beside: None };
    // The recorder is gone, or says what it cannot have said.
    while looker.answer_next().is_ok() {}
}

struct Looker<'r> {
    channel: Channel,
    requests: &'r [Request],
    /// The program that is about to run.
    launch: Option<Launch>,
    /// What lies beside its libraries.
    beside: Option<Beside>,
}

impl Looker<'_> {
    fn answer_next(&mut self) -> io::Result<()> {
        let (question, file) = self.question()?;
        match question {
            Query::Process(folder, _) => self.say(&view(&folder)),
            Query::Begun(folder) => self.say(&begun(&folder)),
            Query::Mapped(folder) => self.say(&mapped(&folder)),
            Query::Facts(choices) => self.say(&found(&choices)),
            Query::Place(_) => self.say(&place(file)),
            Query::States(paths) => self.say(&states(&paths)),
            Query::Read(path) => {
                board::at(&path);
                self.say_reading(root::place(&path).map(|place| (place, path)))
            }
            Query::Command(folder) => self.say(&command(&folder)),
            Query::Launch(start) => {
                self.beside = None;
                let identity = prepare(start, file).map(|launch| {
                    let launch = self.launch.insert(launch);
                    (launch.identity(), launch.path().to_owned())
                });
                self.say(&identity)
            }
            Query::Files => self.files(),
            Query::Leave => {
                (self.launch, self.beside) = (None, None);
                Ok(())
            }
            Query::Beside => self.beside(),
            Query::Call(pid) => self.call(pid, file),
            Query::Mount(path) => self.mount(&path),
            Query::Next | Query::This => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn question(&mut self) -> io::Result<(Query, Option<OwnedFd>)> {
        let (body, fds) = self.channel.receive(None)?;
        Ok((from_bytes(&body).ok_or(io::ErrorKind::InvalidData)?, fds.into_iter().next()))
    }

    fn say(&self, answer: &impl Wire) -> io::Result<()> {
        self.channel.send(&to_bytes(answer), &[])
    }

    /// Tells what is in the file at a place.
    fn say_reading(&self, place: io::Result<(OwnedFd, PathBuf)>) -> io::Result<()> {
        let read = place.and_then(|(place, _)| {
            let file = root::reopen(&place)?;
            Ok((reading(&file, self.requests)?, place))
        });
        let (answer, place) = match read {
            Ok((reading, place)) => (Ok(reading), Some(place)),
            Err(error) => (Err::<Reading, io::Error>(error), None),
        };
        let fds: Vec<_> = place.iter().map(AsFd::as_fd).collect();
        self.channel.send(&to_bytes(&answer), &fds)
    }

    /// Tells which mount is at a path.
    fn mount(&self, path: &Path) -> io::Result<()> {
        use rustix::fs::{AtFlags, StatxFlags, statx};
        let place = match root::place(path) {
            Ok(place) => place,
            Err(error) => return self.say(&Err::<Option<u64>, _>(error)),
        };
        let facts = statx(&place, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID);
        let id =
            facts.map(|facts| (facts.stx_mask & StatxFlags::MNT_ID.bits() != 0).then_some(facts.stx_mnt_id));
        self.channel.send(&to_bytes(&id.map_err(io::Error::from)), &[place.as_fd()])
    }

    /// Tells the files that the program maps.
    fn files(&mut self) -> io::Result<()> {
        let Some(launch) = self.launch.take() else { return self.say(&LaunchStep::End(true, false)) };
        let mut result = Ok(());
        let (beside, is_all) = launch.files(&mut |path, file| {
            if result.is_ok() {
                result = self.file(path, &file);
            }
        });
        let has_beside = !beside.is_empty();
        self.beside = Some(beside);
        result.and_then(|()| self.say(&LaunchStep::End(is_all, has_beside)))
    }

    /// Tells the libraries beside those that the program maps.
    fn beside(&mut self) -> io::Result<()> {
        let mut result = Ok(());
        if let Some(beside) = self.beside.take() {
            beside.files(&mut |path, file| {
                if result.is_ok() {
                    result = self.file(path, &file);
                }
            });
        }
        result.and_then(|()| self.say(&LaunchStep::End(true, false)))
    }

    fn file(&mut self, path: &Path, file: &File) -> io::Result<()> {
        let Ok(facts) = file.metadata() else { return Ok(()) };
        self.say(&LaunchStep::File(path.to_owned(), Facts::of(&facts)))?;
        loop {
            match self.question()?.0 {
                Query::Next => return Ok(()),
                Query::This => {
                    self.say_reading(root::place_of(file).map(|place| (place, path.to_owned())))?
                }
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }

    /// Tells what a process that waits in `execve` asks for.
    fn call(&self, pid: u32, opened: Option<OwnedFd>) -> io::Result<()> {
        let Some(opened) = opened else { return self.say(&None::<Asked>) };
        let opened = File::from(opened);
        board::at(&call::path_of(opened.as_fd()));
        let Ok(facts) = opened.metadata() else { return self.say(&None::<Asked>) };
        let call = ExecCall::read(pid);
        let named = call.as_ref().and_then(|call| call.program(pid));
        let named = named.and_then(|(path, file)| {
            let facts = Facts::of(&file.metadata().ok()?);
            Some((path, facts, root::place_of(&file).ok()?))
        });
        let arguments = |call: &ExecCall| call.arguments().into_iter().skip(1).collect::<Vec<OsString>>();
        let asked = Asked {
            opened: (call::path_of(opened.as_fd()), Facts::of(&facts)),
            named: named.as_ref().map(|(path, facts, _)| (path.clone(), *facts)),
            arguments: call.as_ref().map(arguments).unwrap_or_default(),
            variables: call.as_ref().map(|call| call.variables("LD_")).unwrap_or_default(),
            is_by_first_thread: call.as_ref().is_none_or(|call| call.is_by_first_thread),
            root: root::identity(&pid.to_string()),
        };
        let fds: Vec<_> = named.iter().map(|(_, _, place)| place.as_fd()).collect();
        self.channel.send(&to_bytes(&Some(asked)), &fds)
    }
}

fn view(folder: &Path) -> View {
    let own = facts(&folder.join("exe"));
    // What it maps may be shown all the same (CAP_PERFMON), but not the files.
    let is_denied = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    let is_closed = own.as_ref().is_err_and(is_denied)
        && fs::read_link(folder.join("exe")).as_ref().is_err_and(is_denied);
    board::at(&folder.join("maps"));
    let read = mapping::read_code(folder);
    let is_read = read.is_ok();
    let (mappings, is_cut) = read.unwrap_or_default();
    View { root: root::identity_in(folder), own, is_closed, is_read, is_cut, mappings }
}

/// The executable of a process, once all of its program is mapped.
fn begun(folder: &Path) -> Option<FileId> {
    if !has_begun(folder) {
        return None;
    }
    facts(&folder.join("exe")).ok().map(|facts| facts.id())
}

/// Whether the kernel has mapped all of a process's program: its auxiliary vector is written after that.
fn has_begun(folder: &Path) -> bool {
    let mut word = [0; 8];
    let read = fs::File::open(folder.join("auxv")).and_then(|mut vector| vector.read_exact(&mut word));
    read.is_ok() && word != [0; 8]
}

fn mapped(folder: &Path) -> MappedFiles {
    board::at(&folder.join("maps"));
    let (mappings, _) = mapping::read(folder).unwrap_or_default();
    mappings.into_iter().map(|mapping| mapping.file).collect()
}

fn facts(path: &Path) -> io::Result<Facts> {
    board::at(path);
    Ok(Facts::of(&fs::metadata(path)?))
}

/// Facts of the first choice that there is.
fn found(choices: &[Choice]) -> Found {
    let mut first = None;
    for ((path, inode), index) in choices.iter().zip(0..) {
        match facts(path) {
            Ok(facts) if inode.is_none_or(|inode| facts.inode == inode) => return Ok((facts, index)),
            Ok(_) => {}
            Err(error) => {
                let is_closed =
                    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound);
                let error = first.get_or_insert(error);
                if !is_closed {
                    return Err(io::Error::from_raw_os_error(error.raw_os_error().unwrap_or(libc::EIO)));
                }
            }
        }
    }
    Err(first.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
}

fn place(file: Option<OwnedFd>) -> io::Result<Facts> {
    let file = file.map(File::from).ok_or(io::ErrorKind::InvalidInput)?;
    board::at(&call::path_of(file.as_fd()));
    Ok(Facts::of(&file.metadata()?))
}

fn states(paths: &[PathBuf]) -> States {
    paths.iter().map(|path| facts(path).ok()).collect()
}

/// What is in an open file.
fn reading(file: &File, requests: &[Request]) -> io::Result<Reading> {
    let facts = Facts::of(&file.metadata()?);
    let contents = binary::contents(file, requests)
        .map_err(|damage| Unread { reason: damage.to_string(), is_of_class: damage == Damage::Class });
    let kind = rustix::fs::fstatfs(file).map_or(0, |facts| facts.f_type);
    Ok(Reading { facts, is_overlay: kind == twin::OVERLAY_MAGIC, is_served: kind == FUSE_MAGIC, contents })
}

fn command(folder: &Path) -> Vec<u8> {
    let (path, mut text) = (folder.join("cmdline"), Vec::new());
    board::at(&path);
    // What cannot be read is empty.
    let _ = File::open(path).and_then(|file| file.take(MAX_COMMAND_BYTES).read_to_end(&mut text));
    text
}

fn prepare(start: Start, file: Option<OwnedFd>) -> io::Result<Launch> {
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    match start {
        Start::Command(path, arguments) => Launch::of_command(path, arguments),
        Start::Process(pid, path) => Launch::of_process(pid, &path).ok_or_else(missing),
        Start::Waiting(pid, path, (arguments, variables)) => {
            let file = root::reopen(&file.ok_or_else(missing)?)?;
            Ok(Launch::of_waiting(pid, (path, file), arguments, &variables))
        }
        Start::Argument(pid, word, variables) => {
            Launch::of_argument(pid, &word, &variables).ok_or_else(missing)
        }
    }
}
