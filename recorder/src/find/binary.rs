//! A program or shared library that has probes, opened once and read only as far as needed.

use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use object::LittleEndian as LE;
use object::elf::{self, ProgramHeader64};
use object::read::elf::NoteIterator;
use tracer_format::ArgKind;

use crate::arch::machine::Machine;
use crate::arch::nop::{self, NOP_BYTES, NopForm};
use crate::error::Damage;
use crate::find::elf::note::{self, Note};
use crate::find::elf::symbol;
use crate::find::elf::{Access, Elf, file_offset, is_shadowed};
use crate::site::argument::{self, Argument, Location, SpecContext};
use tracer_format::grammar::{Request, requested};
use tracer_format::log::escape;

/// Bytes of the section that holds the build id; the id itself has 20.
const MAX_BUILD_ID_SECTION_BYTES: u64 = 4096;
/// Bytes of a build id.
const MAX_BUILD_ID_BYTES: usize = 64;

/// A file with probes.
#[derive(Debug)]
pub struct Binary {
    /// The file, open for reading; it stays this file when its path is deleted or replaced.
    pub file: File,
    /// Device of the file.
    pub dev: u64,
    /// Inode of the file.
    pub ino: u64,
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
        if contents.sites.is_empty() {
            return Ok((None, contents.problem));
        }
        let facts = file.metadata().map_err(|error| Damage::Unreadable(error.kind()))?;
        let binary = Binary {
            dev: facts.dev(),
            ino: facts.ino(),
            path: path.to_owned(),
            program: path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
            build_id: contents.build_id,
            sites: contents.sites,
            file,
        };
        Ok((Some(binary), contents.problem))
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
    let mut notes = note::read(&elf)?;
    if let Some(damage) = damage.filter(|_| notes.is_empty()) {
        return Err(damage);
    }
    notes.retain(|note| requested(requests, &note.provider, &note.probe).is_some());
    if notes.is_empty() {
        return Ok(Some(Contents::default()));
    }
    let mut reader = SiteReader::new(&elf, &notes)?;
    let sites = notes.into_iter().filter_map(|note| reader.site(note, requests)).collect();
    let problem = match reader.problems {
        0 => None,
        1 => Some(reader.first_problem.clone()),
        count => Some(format!("{} (and {} more like it)", reader.first_problem, count - 1)),
    };
    Ok(Some(Contents { sites, build_id: build_id(&elf, &reader.segments), problem }))
}

/// What it takes to make sites of notes.
struct SiteReader<'a> {
    elf: &'a Elf<'a>,
    machine: Machine,
    segments: Vec<ProgramHeader64<LE>>,
    symbols: std::collections::HashMap<String, u64>,
    problems: usize,
    first_problem: String,
}

impl<'a> SiteReader<'a> {
    fn new(elf: &'a Elf<'a>, notes: &[Note]) -> Result<Self, Damage> {
        let mut reader = SiteReader {
            machine: elf.machine()?,
            segments: elf.segments()?,
            symbols: Default::default(),
            problems: 0,
            first_problem: String::new(),
            elf,
        };
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
        let note_name = |name: &str| {
            names.borrow_mut().insert(name.to_owned());
            None
        };
        // Most specs name no symbol and are not worth parsing twice.
        for note in
            notes.iter().filter(|note| note.spec.contains("rip") || !self.elf.is_position_independent())
        {
            let _ = argument::parse(&note.spec, &self.place(note, &note_name));
        }
        names.into_inner()
    }

    fn place<'p>(&self, note: &Note, symbol: &'p dyn Fn(&str) -> Option<u64>) -> SpecContext<'p> {
        SpecContext {
            machine: self.machine,
            site_address: note.address,
            position_independent: self.elf.is_position_independent(),
            symbol,
        }
    }

    fn report(&mut self, problem: String) {
        self.problems += 1;
        if self.problems == 1 {
            self.first_problem = problem;
        }
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
        let symbols = &self.symbols;
        let lookup = |symbol: &str| symbols.get(symbol).copied();
        let mut parsed = argument::parse(&note.spec, &self.place(&note, &lookup));
        if let Some(problem) = parsed.problem {
            self.report(format!("{name}: {}", escape(&problem)));
        }
        let strings = requested(requests, &note.provider, &note.probe).unwrap_or(0);
        if let Some(problem) = set_strings(&mut parsed.arguments, strings) {
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
            spec: note.spec,
        })
    }
}

/// Makes the arguments with a bit in `strings` strings; returns the first that cannot be one.
fn set_strings(arguments: &mut [Argument], strings: u16) -> Option<String> {
    let mut problem = None;
    for (position, argument) in
        arguments.iter_mut().enumerate().filter(|(position, _)| strings & 1 << position != 0)
    {
        match argument.kind {
            ArgKind::Signed(8) | ArgKind::Unsigned(8) => argument.kind = ArgKind::Str,
            _ if argument.location == Location::Unreadable => {}
            kind => {
                let what = argument::kind_name(kind);
                problem
                    .get_or_insert(format!("arg{position} is {what}, a string needs an address of 8 bytes"));
            }
        }
    }
    problem
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
