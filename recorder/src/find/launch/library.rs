//! The files that a program will map before its first instruction: executable, interpreter of a script, shared libraries.
//!
//! It follows what the kernel and `ld.so` do without running anything. Where the loader would choose among variants of a library
//! by processor features, all variants are named: one too many costs nothing, one too few loses events.

use std::cell::Cell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use crate::find::elf::dynamic::{self, Dynamic};
use crate::find::root::Root;

/// Files that one program maps.
const MAX_FILES: usize = 1024;
/// Steps that looking for the libraries of one program may take: places that are looked at, and names that are kept for later. A
/// large program takes some thousands.
const MAX_STEPS: usize = 100_000;
/// Folders that files hand on to those that they need.
const MAX_CHAIN: usize = 256;
/// Bytes of a name or a path that make a further step of it.
const STEP_BYTES: usize = 64;
/// Processor time that it may take; on a busy machine it waits as well, which costs no one anything.
const MAX_TIME: Duration = Duration::from_millis(300);
/// Bytes of a list of libraries or folders in a file.
const MAX_LIST_BYTES: u64 = 64 << 10;
/// Bytes of the loader's cache.
const MAX_CACHE_BYTES: u64 = 32 << 20;
const CACHE: &str = "/etc/ld.so.cache";
const CACHE_MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const CACHE_HEADER_BYTES: usize = 48;
const CACHE_LINE_BYTES: usize = 24;
/// Libraries that the loader adds to every program.
const PRELOAD: &str = "/etc/ld.so.preload";
/// Where musl has its folders.
const MUSL_FOLDERS: [&str; 2] = ["/etc/ld-musl-x86_64.path", "/etc/ld-musl-aarch64.path"];
/// Folders that glibc and musl search last, on Debian, Fedora, Arch and Alpine.
const DEFAULT_FOLDERS: [&str; 9] = [
    "/lib64",
    "/usr/lib64",
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/lib",
    "/usr/local/lib",
    "/usr/lib",
];
/// Where a folder may hold variants for newer processors.
const VARIANTS: [&str; 4] =
    ["", "glibc-hwcaps/x86-64-v2", "glibc-hwcaps/x86-64-v3", "glibc-hwcaps/x86-64-v4"];

/// What the environment, or the loader's command line, tells the loader.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Settings {
    /// `LD_PRELOAD`: libraries that are added.
    pub(crate) preload: Vec<u8>,
    /// `LD_AUDIT`: libraries that watch the loader.
    pub(crate) audit: Vec<u8>,
    /// `LD_LIBRARY_PATH`: folders that come first.
    pub(crate) folders: Vec<u8>,
}

/// Where the loader of a program looks for libraries.
pub(crate) struct Search<'a> {
    root: &'a Root,
    /// Libraries that the environment and the system add to the program.
    added: Vec<OsString>,
    /// Folders that the environment puts first.
    folders: Vec<PathBuf>,
    /// Paths by library name, from the loader's cache.
    cache: HashMap<Vec<u8>, Vec<PathBuf>>,
    /// Folders that are searched last.
    last: Vec<PathBuf>,
    /// What it may take still.
    budget: &'a Budget,
}

/// What looking for libraries may take.
#[derive(Debug)]
pub(crate) struct Budget {
    steps: Cell<usize>,
    until: Duration,
    /// Whether it was not enough.
    is_over: Cell<bool>,
    /// Whether something was left out.
    is_cut: Cell<bool>,
}

impl Budget {
    /// The budget for one program that is about to run.
    pub(crate) fn new() -> Self {
        Self {
            steps: Cell::new(0),
            until: processor_time() + MAX_TIME,
            is_over: Cell::new(false),
            is_cut: Cell::new(false),
        }
    }

    /// Whether nothing was left out.
    pub(crate) fn is_whole(&self) -> bool {
        !self.is_over.get() && !self.is_cut.get()
    }

    /// Notes that something is left out.
    pub(crate) fn leave_out(&self) {
        self.is_cut.set(true);
    }

    /// Whether it is used up.
    fn is_over(&self) -> bool {
        self.is_over.get()
    }

    /// Takes a step for a name or path of so many bytes; false if there is none left.
    pub(super) fn step(&self, len: usize) -> bool {
        const LOOK_AT_CLOCK: usize = 256;
        let before = self.steps.get();
        self.steps.set(before + 1 + len / STEP_BYTES);
        let is_new_hundred = before / LOOK_AT_CLOCK != self.steps.get() / LOOK_AT_CLOCK;
        if self.steps.get() > MAX_STEPS || is_new_hundred && processor_time() > self.until {
            self.is_over.set(true);
        }
        !self.is_over.get()
    }
}

/// Processor time of this thread.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// A library that is to be found.
struct Wanted {
    name: OsString,
    /// Folders that those which need it, directly and indirectly, hand on; they come before the environment's, but not where the
    /// one that needs it has folders of its own.
    chain: Rc<[PathBuf]>,
    /// Folders of the one that needs it, after the environment's.
    runpath: Rc<[PathBuf]>,
}

impl Wanted {
    /// Those that a file needs, which was itself needed by files with these folders.
    fn by(file: &Dynamic, chain: &Rc<[PathBuf]>) -> Vec<Self> {
        let chain = if file.runpath.is_empty() && !file.rpath.is_empty() {
            file.rpath.iter().chain(chain.iter()).take(MAX_CHAIN).cloned().collect()
        } else {
            chain.clone()
        };
        let runpath: Rc<[PathBuf]> = file.runpath.clone().into();
        let wanted =
            |name: &OsString| Self { name: name.clone(), chain: chain.clone(), runpath: runpath.clone() };
        file.needed.iter().map(wanted).collect()
    }
}

/// A library that was found: its path, the open file, and what it tells the loader.
pub(crate) type Library = (PathBuf, File, Dynamic);

impl<'a> Search<'a> {
    /// For a program in the folder `origin`.
    pub(crate) fn new(root: &'a Root, settings: &Settings, origin: &Path, budget: &'a Budget) -> Self {
        let read = |path: &str, max: u64| -> Option<Vec<u8>> {
            let mut bytes = Vec::new();
            root.open(Path::new(path)).ok()?.take(max).read_to_end(&mut bytes).ok()?;
            if bytes.len() as u64 == max {
                budget.leave_out();
            }
            Some(bytes)
        };
        let cache = read(CACHE, MAX_CACHE_BYTES).and_then(|bytes| parse_cache(&bytes)).unwrap_or_default();
        let musl = MUSL_FOLDERS.iter().filter_map(|path| read(path, MAX_LIST_BYTES));
        let musl = musl.flat_map(|list| words(&list, b":\n"));
        let last = musl.chain(DEFAULT_FOLDERS.map(PathBuf::from)).collect();
        let of_system = read(PRELOAD, MAX_LIST_BYTES).unwrap_or_default();
        let lists = [(&settings.audit, &b":"[..]), (&settings.preload, b": "), (&of_system, b": \t\n")];
        let paths = lists.into_iter().flat_map(|(list, separators)| words(list, separators));
        let mut is_cut = false;
        let added = paths.flat_map(|path| dynamic::expand(path.as_os_str().as_bytes(), origin, &mut is_cut));
        let added = added.map(OsString::from_vec).collect();
        let folders = dynamic::folders(&settings.folders, b":;", origin, &mut is_cut);
        if is_cut {
            budget.leave_out();
        }
        Search { root, folders, added, cache, last, budget }
    }

    /// Hands shared libraries that a program needs, directly and indirectly, nearest first, to `found`. Gives the folders that the
    /// program, these libraries and the environment name.
    pub(crate) fn libraries(&self, program: &Dynamic, found: &mut dyn FnMut(PathBuf, File)) -> Vec<PathBuf> {
        let mut asked: HashSet<OsString> = HashSet::new();
        let added = Dynamic { needed: self.added.clone(), ..program.clone() };
        let mut queue = VecDeque::new();
        self.enqueue(&added, &Rc::default(), &mut queue);
        self.enqueue(program, &Rc::default(), &mut queue);
        let mut named = Vec::new();
        name_folders(program, &mut named);
        let mut count = 0;
        while let Some(wanted) = queue.pop_front() {
            if count >= MAX_FILES {
                self.budget.is_over.set(true);
            }
            if self.budget.is_over() {
                break;
            }
            if !asked.insert(wanted.name.clone()) {
                continue;
            }
            for (path, file, library) in self.variants(&wanted, program) {
                self.enqueue(&library, &wanted.chain, &mut queue);
                name_folders(&library, &mut named);
                found(path, file);
                count += 1;
            }
        }
        named.extend(self.folders.iter().cloned());
        named
    }

    /// Folders that all programs share.
    pub(crate) fn shared_folders(&self) -> Vec<PathBuf> {
        let cached: HashSet<&Path> = self.cache.values().flatten().filter_map(|path| path.parent()).collect();
        cached.into_iter().map(Path::to_owned).chain(self.last.iter().cloned()).collect()
    }

    /// Adds what a file needs, as far as the budget goes.
    fn enqueue(&self, file: &Dynamic, chain: &Rc<[PathBuf]>, queue: &mut VecDeque<Wanted>) {
        if file.is_cut || file.rpath.len() + chain.len() > MAX_CHAIN {
            self.budget.leave_out();
        }
        queue.extend(
            Wanted::by(file, chain).into_iter().take_while(|wanted| self.budget.step(wanted.name.len())),
        );
    }

    /// A program that the loader was asked to run by a name without a slash: it looks for it as for a library.
    pub(crate) fn program(&self, name: &OsStr, loader: &Dynamic) -> Option<Library> {
        let wanted = Wanted { name: name.to_owned(), chain: Rc::default(), runpath: Rc::default() };
        self.variants(&wanted, loader).into_iter().next()
    }

    /// The library of this name in the first folder that has it for the right machine, in all its variants.
    fn variants(&self, wanted: &Wanted, program: &Dynamic) -> Vec<Library> {
        let usable = |path: PathBuf| {
            if !self.budget.step(path.as_os_str().len()) {
                return None;
            }
            let file = self.root.open(&path).ok()?;
            let library = dynamic::read(&file, dynamic::origin(&path))?;
            (library.machine == program.machine).then_some((path, file, library))
        };
        let name = &wanted.name;
        if name.as_bytes().contains(&b'/') {
            return usable(PathBuf::from(name)).into_iter().collect();
        }
        let in_folder = |folder: &PathBuf| -> Vec<Library> {
            VARIANTS.iter().filter_map(|variant| usable(folder.join(variant).join(name))).collect()
        };
        let first = |folders: &[PathBuf]| {
            let mut folders = folders.iter().take_while(|_| !self.budget.is_over());
            folders.find_map(|folder| Some(in_folder(folder)).filter(|found| !found.is_empty()))
        };
        let cached = || {
            let paths = self.cache.get(name.as_bytes())?;
            Some(paths.iter().cloned().filter_map(usable).collect())
                .filter(|found: &Vec<_>| !found.is_empty())
        };
        let chain = if wanted.runpath.is_empty() { &wanted.chain[..] } else { &[] };
        first(chain)
            .or_else(|| first(&self.folders))
            .or_else(|| first(&wanted.runpath))
            .or_else(cached)
            .or_else(|| first(&self.last))
            .unwrap_or_default()
    }
}

/// Adds the folders that a file names to search in.
fn name_folders(file: &Dynamic, named: &mut Vec<PathBuf>) {
    let room = dynamic::MAX_FOLDERS.saturating_sub(named.len());
    named.extend(file.rpath.iter().chain(&file.runpath).take(room).cloned());
}

fn words(list: &[u8], separators: &[u8]) -> Vec<PathBuf> {
    let words = list.split(|byte| separators.contains(byte)).filter(|word| !word.is_empty());
    words.map(|word| PathBuf::from(OsStr::from_bytes(word))).collect()
}

/// Paths by library name in the bytes of the loader's cache; see `sysdeps/generic/dl-cache.h` of glibc 2.36.
fn parse_cache(bytes: &[u8]) -> Option<HashMap<Vec<u8>, Vec<PathBuf>>> {
    // The format of libc5 may come before it.
    let start = (0..bytes.len()).step_by(4).find(|start| bytes[*start..].starts_with(CACHE_MAGIC))?;
    let bytes = &bytes[start..];
    let word =
        |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(|word| u32::from_le_bytes(word) as usize);
    let string = |at: usize| bytes.get(at..)?.split(|byte| *byte == 0).next();
    let mut paths: HashMap<Vec<u8>, Vec<PathBuf>> = HashMap::new();
    let lines = bytes.len().saturating_sub(CACHE_HEADER_BYTES) / CACHE_LINE_BYTES;
    for line in 0..word(20)?.min(lines) {
        let line = CACHE_HEADER_BYTES + line * CACHE_LINE_BYTES;
        let (name, path) = (string(word(line + 4)?)?, string(word(line + 8)?)?);
        paths.entry(name.to_vec()).or_default().push(PathBuf::from(OsStr::from_bytes(path)));
    }
    Some(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_gives_all_paths_of_a_name() {
        let strings = b"libz.so.1\0/lib/libz.so.1\0/lib/v3/libz.so.1\0";
        let at = |offset: usize| {
            u32::try_from(CACHE_HEADER_BYTES + 2 * CACHE_LINE_BYTES + offset).unwrap().to_le_bytes()
        };
        let line = |path: usize| [&[3, 3, 0, 0][..], &at(0), &at(path), &[0; 12]].concat();
        let header = [CACHE_MAGIC, &[2, 0, 0, 0], &[0; 24]].concat();
        let cache = [header, line(10), line(25), strings.to_vec()].concat();
        let paths = parse_cache(&cache).unwrap();
        let expected = ["/lib/libz.so.1", "/lib/v3/libz.so.1"].map(PathBuf::from);
        assert_eq!(paths[&b"libz.so.1"[..]], expected);
        let behind_old = [b"ld.so-1.7.0\0\0\0\0\0", &cache[..]].concat();
        assert_eq!(parse_cache(&behind_old).unwrap(), paths);
        for len in 0..cache.len() {
            // A cut-off cache gives nothing or less, and no panic.
            assert!(parse_cache(&cache[..len]).is_none_or(|found| found.len() <= 1));
        }
    }
}
