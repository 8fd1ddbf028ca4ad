//! Looking at files and memory of others, which a helper process does: [`looker`] is what runs there, [`lookers`] asks it and goes
//! on when there is no answer. What is asked and answered stands here.

pub(crate) mod call;
pub(crate) mod debts;
pub(crate) mod looker;
pub(crate) mod lookers;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use tracer_format::ArgKind;
use tracer_format::grammar::StringArgument;

use crate::arch::nop::NopForm;
use crate::find::binary::{Contents, Site};
use crate::find::facts::{Facts, FileId};
use crate::find::mapping::{MappedPart, Mapping};
use crate::find::root::Identity;
use crate::host::helper::wire::{Listed, Wire, wire_struct};
use crate::site::argument::{Argument, Location};

/// What a looker is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Query {
    /// What a process can run, by its folder in `/proc`: [`View`]. Its executable tells the question from one about another program of it.
    Process(PathBuf, PathBuf),
    /// Which executable a process has, by its folder in `/proc`, if all of its program is mapped: a [`FileId`], if so.
    Begun(PathBuf),
    /// All files that a process maps, by its folder in `/proc`, as its table names them: [`FileId`]s.
    Mapped(PathBuf),
    /// Facts of the first of these files that is there: [`Found`].
    Facts(Vec<Choice>),
    /// Facts of each of these files, if it is there: [`States`].
    States(Vec<PathBuf>),
    /// Facts of a file that comes along, and is named to tell the question from others.
    Place(FileId),
    /// The sites of the file at a path: [`Reading`]; a descriptor comes along if it has any.
    Read(PathBuf),
    /// The command line of a process, from its folder in `/proc`: its bytes.
    Command(PathBuf),
    /// A program that is about to run: its identity, if there is one.
    Launch(Start),
    /// The files that the program of the last [`Query::Launch`] maps: each is told as [`LaunchStep::File`], then comes [`LaunchStep::End`].
    Files,
    /// Close that program: no files of it are asked for. Has no answer.
    Leave,
    /// The libraries with probes beside these files: told likewise.
    Beside,
    /// Go on to the next of these files.
    Next,
    /// Read this one first: [`Reading`], as with [`Query::Read`].
    This,
    /// The place of a mount: the number of the mount there, if the kernel tells it. A descriptor comes along.
    Mount(PathBuf),
    /// What a process that waits in `execve` asks for: [`Asked`], if it can be seen. The file that the kernel has opened comes along;
    /// the one that the process has named comes back.
    Call(u32),
}

/// A place where a file may be; where an inode is given, only that very one.
pub(crate) type Choice = (PathBuf, Option<u64>);

/// Facts of a file, and which of the choices it is.
pub(crate) type Found = Result<(Facts, u64), io::Error>;

/// Facts of files that are there.
pub(crate) type States = Vec<Option<Facts>>;

/// How a program is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Start {
    /// By this process: its path and its arguments.
    Command(PathBuf, Vec<OsString>),
    /// By process `pid`, just now: the path it had.
    Process(u32, PathBuf),
    /// By process `pid`, which waits: its path, its arguments, variables for the loader. The file comes along.
    Waiting(u32, PathBuf, (Vec<OsString>, Vec<OsString>)),
    /// By process `pid`, if it were given this word; variables for the loader.
    Argument(u32, OsString, Vec<OsString>),
}

/// What a process can run.
#[derive(Debug)]
pub(crate) struct View {
    /// Where its paths begin.
    pub(crate) root: Identity,
    /// The executable that it had before its mappings were looked at.
    pub(crate) own: Result<Facts, io::Error>,
    /// Whether it may not be looked into.
    pub(crate) is_closed: bool,
    /// Whether its mappings could be looked at.
    pub(crate) is_read: bool,
    /// Whether it maps more than was looked at.
    pub(crate) is_cut: bool,
    /// The code that it maps.
    pub(crate) mappings: Vec<Mapping>,
}

/// What was read of a file.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) facts: Facts,
    pub(crate) is_overlay: bool,
    /// Whether another process serves it, which may say anything about it.
    pub(crate) is_served: bool,
    /// `None` if it is no ELF file.
    pub(crate) contents: Result<Option<Contents>, Unread>,
}

/// Why a file cannot be read as one with probes, in words.
#[derive(Debug)]
pub(crate) struct Unread {
    pub(crate) reason: String,
    /// Whether it is of another class, of which one is enough to know.
    pub(crate) is_of_class: bool,
}

/// What [`Query::Files`] is answered with.
#[derive(Debug)]
pub(crate) enum LaunchStep {
    /// A file.
    File(PathBuf, Facts),
    /// There are no more; whether all places were looked at, and whether there may be files beside these.
    End(bool, bool),
}

wire_struct! {
    View { root, own, is_closed, is_read, is_cut, mappings }
    Reading { facts, is_overlay, is_served, contents }
    Unread { reason, is_of_class }
    Contents { sites, build_id, problem }
    Site {
        provider, probe, address, offset, semaphore_offset, semaphore_is_shadowed, nop, arguments, strings, spec,
    }
    Argument { kind, location }
    StringArgument { position, length, max_bytes }
    Mapping { range, file, path, parts }
    MappedPart { offset, len, is_executable, is_writable, is_shared }
    Asked { opened, named, arguments, variables, is_by_first_thread, root }
}
impl Listed for Site {}
impl Listed for Argument {}
impl Listed for StringArgument {}
impl Listed for Mapping {}
impl Listed for MappedPart {}

/// Makes enums sendable: a number for each variant, then its fields.
macro_rules! wire_enum {
    ($name:ty { $($number:literal = $variant:ident $(($($field:ident),*))? $({$($named:ident),*})?),* $(,)? }) => {
        impl Wire for $name {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $(($($field),*))? $({$($named),*})? => {
                        Wire::put(&{ $number as u8 }, out);
                        $($(Wire::put($field, out);)*)?
                        $($(Wire::put($named, out);)*)?
                    })*
                }
            }
            fn take(bytes: &mut &[u8]) -> Option<Self> {
                Some(match u8::take(bytes)? {
                    $($number => {
                        $($(let $field = Wire::take(bytes)?;)*)?
                        $($(let $named = Wire::take(bytes)?;)*)?
                        Self::$variant $(($($field),*))? $({$($named),*})?
                    })*
                    _ => return None,
                })
            }
        }
    };
}

wire_enum!(Query {
    0 = Process(folder, executable),
    1 = Mapped(folder),
    2 = Facts(choices),
    3 = States(paths),
    4 = Read(path),
    5 = Command(folder),
    6 = Launch(start),
    7 = Files,
    8 = Next,
    9 = This,
    10 = Call(pid),
    11 = Mount(path),
    12 = Place(file),
    13 = Leave,
    14 = Beside,
    15 = Begun(folder),
});
wire_enum!(Start {
    0 = Command(path, arguments),
    1 = Process(pid, path),
    2 = Waiting(pid, path, given),
    3 = Argument(pid, word, variables),
});
wire_enum!(LaunchStep { 0 = File(path, facts), 1 = End(is_all, has_beside) });
wire_enum!(ArgKind { 0 = Signed(bytes), 1 = Unsigned(bytes), 2 = Float(bytes), 3 = Str, 4 = Unknown(number) });
wire_enum!(NopForm { 0 = Nop, 1 = Nop5, 2 = Nop10, 3 = NopNop5, 4 = NopNop10, 5 = Other });
wire_enum!(Location {
    0 = Constant(value),
    1 = Register { slot, shift },
    2 = Vector(number),
    3 = Memory { base, index, scale_log2, displacement, of_thread },
    4 = Unreadable,
});

/// Files that a process maps.
pub(crate) type MappedFiles = Vec<FileId>;

/// What a process that waits to run a program asks for.
#[derive(Debug)]
pub(crate) struct Asked {
    /// What the kernel has opened: its path and facts.
    pub(crate) opened: (PathBuf, Facts),
    /// What the process has named, if that can be opened.
    pub(crate) named: Option<(PathBuf, Facts)>,
    /// The arguments, without the name of the program.
    pub(crate) arguments: Vec<OsString>,
    /// Variables that the loader heeds, as `NAME=VALUE`.
    pub(crate) variables: Vec<OsString>,
    pub(crate) is_by_first_thread: bool,
    /// Where its paths begin.
    pub(crate) root: Identity,
}
