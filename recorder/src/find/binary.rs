//! A program or shared library that has probes, opened once and read only as far as needed.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use object::LittleEndian as LE;
use object::elf::{self, ProgramHeader64};
use object::read::elf::NoteIterator;
use tracer_format::ArgKind;

use crate::arch::machine::Machine;
use crate::arch::nop::{self, NOP_BYTES, NopForm};
use crate::error::Damage;
use crate::find::elf::Elf;
use crate::find::elf::note::{self, Note, Notes};
use crate::find::elf::segment::{Access, file_offset, is_shadowed, thread_block};
use crate::find::elf::symbol::{self, Address};
use crate::find::facts::Facts;
use crate::site::argument::{self, Argument, Location, SpecContext};
use tracer_format::grammar::{Request, StringArgument, requested};
use tracer_format::log::escape;

/// Bytes of the section that holds the build id; the id itself has 20.
const MAX_BUILD_ID_SECTION_BYTES: u64 = 4096;
/// Bytes of a build id.
const MAX_BUILD_ID_BYTES: usize = 64;

/// A file with probes.
#[derive(Debug)]
pub struct Binary {
    /// The file; it stays this file when its path is deleted or replaced. Not always open for reading: one of another program is open
    /// for nothing, so that closing it does not wait for a file system.
    pub file: File,
    /// Device of the file.
    pub dev: u64,
    /// Inode of the file.
    pub ino: u64,
    /// User that it belongs to; the greatest number where that cannot be relied on.
    pub owner: u32,
    /// Path, as the process that maps it sees it.
    pub path: PathBuf,
    /// File name.
    pub program: String,
    /// Build id; empty if it has none.
    pub build_id: Vec<u8>,
    /// Sites, in the order of their notes.
    pub sites: Vec<Site>,
}

/// One address in a file where a probe fires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Provider.
    pub provider: String,
    /// Probe, without the provider.
    pub probe: String,
    /// Virtual address of the instruction, as linked.
    pub address: u64,
    /// File offset of the instruction, bytes.
    pub offset: u64,
    /// File offset of the semaphore, bytes; 0 if there is none.
    pub semaphore_offset: u64,
    /// Whether the kernel does not raise the semaphore in processes that start while it is attached.
    pub semaphore_is_shadowed: bool,
    /// Form of the instruction.
    pub nop: NopForm,
    /// Arguments, at most 12.
    pub arguments: Vec<Argument>,
    /// Which of them are strings, and how those are read.
    pub strings: Vec<StringArgument>,
    /// Argument text of the note.
    pub spec: String,
}

/// What is in the bytes of an ELF file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// Sites that were asked for.
    pub sites: Vec<Site>,
    /// Build id; empty if it has none, or if there are no sites.
    pub build_id: Vec<u8>,
    /// What was left out, in one line; `None` if nothing.
    pub problem: Option<String>,
}

impl Binary {
    /// Reads the requested sites of a file; `None` if it is no ELF file or has none. The second value says what was
    /// left out, if anything.
    ///
    /// # Errors
    /// If the file is damaged, over a limit, or of an unknown machine.
    pub fn read(
        file: File,
        path: &Path,
        requests: &[Request],
    ) -> Result<(Option<Self>, Option<String>), Damage> {
        let Some(contents) = contents(&file, requests)? else { return Ok((None, None)) };
        let facts = file.metadata().map_err(|error| Damage::Unreadable(error.kind()))?;
        let problem = contents.problem.clone();
        Ok((Self::of(file, &Facts::of(&facts), path, contents), problem))
    }

    /// A file with these contents; `None` if it has no requested sites.
    pub(crate) fn of(file: File, facts: &Facts, path: &Path, contents: Contents) -> Option<Self> {
        let Contents { sites, build_id, .. } = contents;
        let program = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let (dev, ino) = facts.id();
        let (path, owner) = (path.to_owned(), facts.owner);
        (!sites.is_empty()).then_some(Self { file, dev, ino, owner, path, program, build_id, sites })
    }
}

/// Reads the requested sites from a file or from bytes; `None` if it is no ELF file.
///
/// # Errors
/// If the file is damaged, over a limit, or of an unknown machine.
pub fn contents(source: &dyn FileExt, requests: &[Request]) -> Result<Option<Contents>, Damage> {
    let (elf, damage) = match Elf::read(source) {
        Ok(elf) => (elf, None),
        // Neither the kernel nor the loader looks at section headers: the program may run all the same.
        Err(damage) => (Elf::read_header(source)?, Some(damage)),
    };
    let Some(elf) = elf else { return Ok(None) };
    let Notes { mut notes, damaged } = note::read(&elf)?;
    if let Some(damage) = damage.filter(|_| notes.is_empty()) {
        return Err(damage);
    }
    notes.retain(|note| requested(requests, &note.provider, &note.probe).is_some());
    if notes.is_empty() {
        // Nothing tells whether those that are not understood were asked for.
        return Ok(Some(Contents { problem: Problems::of(&damaged).summary(), ..Contents::default() }));
    }
    let mut reader = SiteReader::new(&elf, &notes, Problems::of(&damaged))?;
    let sites = notes.into_iter().filter_map(|note| reader.site(note, requests)).collect();
    let problem = reader.problems.summary();
    Ok(Some(Contents { sites, build_id: build_id(&elf, &reader.segments), problem }))
}

/// What was left out of a file, of which the first is named.
#[derive(Default)]
struct Problems {
    count: usize,
    first: String,
}

impl Problems {
    fn of(damaged: &[Damage]) -> Self {
        let mut problems = Self::default();
        damaged.iter().for_each(|damage| problems.add(damage.to_string()));
        problems
    }

    fn add(&mut self, problem: String) {
        self.count += 1;
        if self.count == 1 {
            self.first = problem;
        }
    }

    /// One line; `None` if nothing was left out.
    fn summary(&self) -> Option<String> {
        match self.count {
            0 => None,
            1 => Some(self.first.clone()),
            count => Some(format!("{} (and {} more like it)", self.first, count - 1)),
        }
    }
}

/// What it takes to make sites of notes.
struct SiteReader<'a> {
    elf: &'a Elf<'a>,
    machine: Machine,
    segments: Vec<ProgramHeader64<LE>>,
    symbols: HashMap<String, Address>,
    /// Where the file's thread-local variables begin, from what the thread's memory is addressed by.
    thread_block: Option<i64>,
    problems: Problems,
}

impl<'a> SiteReader<'a> {
    fn new(elf: &'a Elf<'a>, notes: &[Note], problems: Problems) -> Result<Self, Damage> {
        let mut reader = SiteReader {
            machine: elf.machine()?,
            segments: elf.segments()?,
            symbols: HashMap::new(),
            thread_block: None,
            problems,
            elf,
        };
        reader.thread_block = thread_block(elf, &reader.segments);
        let wanted = reader.symbol_names(notes);
        if !wanted.is_empty() {
            // Without symbols, only the arguments that name one are lost.
            match symbol::addresses(elf, &wanted) {
                Ok(symbols) => reader.symbols = symbols,
                Err(damage) => reader.report(damage.to_string()),
            }
        }
        Ok(reader)
    }

    /// Symbols that the argument specs of the notes name.
    fn symbol_names(&self, notes: &[Note]) -> HashSet<String> {
        let names = std::cell::RefCell::new(HashSet::new());
        let note_name = |name: &str| names.borrow_mut().insert(name.to_owned());
        let (symbol, thread_symbol) = (
            |name: &str| {
                note_name(name);
                None
            },
            |name: &str| {
                note_name(name);
                None
            },
        );
        // Most specs name no symbol and are not worth parsing twice.
        let may_name_one = |spec: &str| spec.contains("rip") || spec.contains("@tpoff");
        let may_name_one = |note: &&Note| may_name_one(&note.spec) || !self.elf.is_position_independent();
        for note in notes.iter().filter(may_name_one) {
            let place = SpecContext { symbol: &symbol, thread_symbol: &thread_symbol, ..self.place(note) };
            let _ = argument::parse(&note.spec, &place);
        }
        names.into_inner()
    }

    /// What the operands of a note can refer to, beside symbols.
    fn place(&self, note: &Note) -> SpecContext<'static> {
        SpecContext {
            machine: self.machine,
            site_address: note.address,
            position_independent: self.elf.is_position_independent(),
            symbol: &|_| None,
            thread_symbol: &|_| None,
        }
    }

    /// The arguments that a note tells of.
    fn arguments(&self, note: &Note) -> argument::Parsed {
        let symbol = |name: &str| match self.symbols.get(name) {
            Some(Address::Linked(address)) => Some(*address),
            _ => None,
        };
        let thread_symbol = |name: &str| match self.symbols.get(name) {
            Some(Address::OfThread(offset)) => self.thread_block?.checked_add_unsigned(*offset),
            _ => None,
        };
        let place = SpecContext { symbol: &symbol, thread_symbol: &thread_symbol, ..self.place(note) };
        argument::parse(&note.spec, &place)
    }

    fn report(&mut self, problem: String) {
        self.problems.add(problem);
    }

    /// The site of a note; `None`, with a report, if nothing can be attached there.
    fn site(&mut self, note: Note, requests: &[Request]) -> Option<Site> {
        let name = format!("{}:{}", escape(&note.provider), escape(&note.probe));
        let Some(offset) = file_offset(&self.segments, note.address, Access::Execute) else {
            self.report(format!("{name} at {:#x} is not in an executable segment, left out", note.address));
            return None;
        };
        if file_offset(&self.segments, note.address, Access::Both).is_some() {
            self.report(format!(
                "{name} at {:#x} is in a writable segment, where the kernel puts no breakpoint, left out",
                note.address
            ));
            return None;
        }
        let semaphore_offset = match note.semaphore {
            0 => 0,
            address => match file_offset(&self.segments, address, Access::Write) {
                Some(offset) => offset,
                // The program would skip the probe: its semaphore cannot be raised.
                None => {
                    self.report(format!(
                        "{name}: semaphore at {address:#x} is not in a writable segment, left out"
                    ));
                    return None;
                }
            },
        };
        let mut parsed = self.arguments(&note);
        if let Some(problem) = parsed.problem {
            self.report(format!("{name}: {}", escape(&problem)));
        }
        let mut strings = requested(requests, &note.provider, &note.probe).unwrap_or_default();
        for problem in set_strings(&mut parsed.arguments, &mut strings) {
            self.report(format!("{name}: {problem}"));
        }
        let code = self.elf.bytes_up_to(offset, NOP_BYTES).unwrap_or_default();
        Some(Site {
            provider: note.provider,
            probe: note.probe,
            address: note.address,
            offset,
            semaphore_offset,
            semaphore_is_shadowed: note.semaphore != 0
                && is_shadowed(&self.segments, note.semaphore, rustix::param::page_size() as u64),
            nop: nop::classify(&code),
            arguments: parsed.arguments,
            strings,
            spec: note.spec,
        })
    }
}

/// Makes the arguments that are asked for as strings those; gives why some cannot be one, and keeps the others.
fn set_strings(arguments: &mut [Argument], strings: &mut Vec<StringArgument>) -> Vec<String> {
    let mut problems = Vec::new();
    strings.retain(|string| {
        let at = |position: u8| arguments.get(usize::from(position)).copied();
        let Some(argument) = at(string.position).filter(|found| found.location != Location::Unreadable)
        else {
            return false;
        };
        let position = string.position;
        let problem = match (argument.kind, string.length.map(|length| (length, at(length)))) {
            (ArgKind::Signed(8) | ArgKind::Unsigned(8), None) => None,
            (ArgKind::Signed(8) | ArgKind::Unsigned(8), Some((length, found))) => match found {
                Some(found) if found.location == Location::Unreadable => return false,
                Some(found) if found.kind.is_integer() => None,
                Some(_) => {
                    Some(format!("arg{length} is no integer, the length of arg{position} has to be one"))
                }
                None => Some(format!("it has no arg{length} that could be the length of arg{position}")),
            },
            (kind, _) => {
                let what = argument::kind_name(kind);
                Some(format!("arg{position} is {what}, a string needs an address of 8 bytes"))
            }
        };
        problems.extend(problem.clone());
        problem.is_none()
    });
    for string in strings {
        arguments[usize::from(string.position)].kind = ArgKind::Str;
    }
    problems
}

/// Build id of a file; empty if it has none that can be read.
fn build_id(elf: &Elf<'_>, segments: &[ProgramHeader64<LE>]) -> Vec<u8> {
    let read = |(offset, len)| {
        let bytes = elf.bytes("build id", offset, len, MAX_BUILD_ID_SECTION_BYTES).ok()?;
        let mut notes = NoteIterator::<elf::FileHeader64<LE>>::new(LE, 4, &bytes).ok()?;
        while let Some(note) = notes.next().ok()? {
            if note.name() == elf::ELF_NOTE_GNU && note.n_type(LE) == elf::NT_GNU_BUILD_ID {
                return Some(note.desc().to_vec()).filter(|id| id.len() <= MAX_BUILD_ID_BYTES);
            }
        }
        None
    };
    let sections = elf.sections(".note.gnu.build-id");
    let in_sections = sections.map(|section| (section.sh_offset.get(LE), section.sh_size.get(LE)));
    let of_notes = segments.iter().filter(|segment| segment.p_type.get(LE) == elf::PT_NOTE);
    let in_segments = of_notes.map(|segment| (segment.p_offset.get(LE), segment.p_filesz.get(LE)));
    in_sections.chain(in_segments).find_map(read).unwrap_or_default()
}
