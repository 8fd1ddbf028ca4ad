//! The files that a command will map before its first instruction: executable, interpreter of a script, shared libraries.
//!
//! It follows what `ld.so` does without running anything. Where the loader would choose among variants of a library by
//! processor features, all variants are named: one too many costs nothing, one too few loses events.

use std::collections::{HashMap, HashSet, VecDeque};
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::find::elf::dynamic::{self, Dynamic};

/// Files that one command maps.
const MAX_FILES: usize = 1024;
/// Bytes of the first line of a script, as the kernel has it.
const MAX_SCRIPT_LINE_BYTES: usize = 256;
/// Bytes of a process' environment that are looked at.
const MAX_ENVIRONMENT_BYTES: u64 = 1 << 20;
/// Bytes of the loader's cache.
const MAX_CACHE_BYTES: u64 = 32 << 20;
const CACHE: &str = "/etc/ld.so.cache";
const CACHE_MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const CACHE_HEADER_BYTES: usize = 48;
const CACHE_LINE_BYTES: usize = 24;
/// Folders that glibc and musl search last, on Debian, Fedora, Arch and Alpine.
const DEFAULT_FOLDERS: [&str; 8] = [
    "/lib64",
    "/usr/lib64",
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/lib",
    "/usr/lib",
];
/// Where a folder may hold variants for newer processors.
const VARIANTS: [&str; 4] =
    ["", "glibc-hwcaps/x86-64-v2", "glibc-hwcaps/x86-64-v3", "glibc-hwcaps/x86-64-v4"];

/// Files that the command `name` will map: its executable (and those of a script's interpreter) first, then libraries.
///
/// # Errors
/// [`Error::Command`] if there is no such program in `PATH`.
pub(crate) fn of_command(name: &OsStr) -> Result<Vec<PathBuf>> {
    let executable = find_program(name).ok_or_else(|| Error::Command(name.to_string_lossy().into_owned()))?;
    Ok(of_program(executable, &|name| env::var_os(name)))
}

/// Files that a process will map that began to run the program at `path`, and has the environment of process `pid`.
pub(crate) fn of_process(pid: u32, path: PathBuf) -> Vec<PathBuf> {
    let mut environment = Vec::new();
    let file = File::open(format!("/proc/{pid}/environ"));
    // Without it, the loader's own folders are left.
    let _ = file.and_then(|file| file.take(MAX_ENVIRONMENT_BYTES).read_to_end(&mut environment));
    of_program(path, &|name| {
        let mut variables = environment.split(|byte| *byte == 0);
        let value =
            variables.find_map(|variable| variable.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
        Some(OsString::from_vec(value.to_vec()))
    })
}

fn of_program(executable: PathBuf, variable: &dyn Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let mut paths = vec![executable.clone()];
    for program in interpreters(&executable) {
        // The kernel allows a script's interpreter to be a script.
        paths.extend(interpreters(&program));
        paths.push(program);
    }
    let search = Search::new(variable);
    let programs: Vec<PathBuf> = paths.clone();
    for program in programs {
        paths.extend(search.libraries(&program));
    }
    let mut seen = HashSet::new();
    paths.retain(|path| seen.insert(fs::canonicalize(path).unwrap_or_else(|_| path.clone())));
    paths
}

/// Path of a program, as a shell looks for it.
pub(crate) fn find_program(name: &OsStr) -> Option<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return Some(PathBuf::from(name)).filter(|path| is_program(path));
    }
    let folders = env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/local/bin:/usr/bin:/bin"));
    env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
}

/// Programs that run a script, from its `#!` line; with `env`, also the one that `env` looks for.
fn interpreters(path: &Path) -> Vec<PathBuf> {
    let mut line = [0; MAX_SCRIPT_LINE_BYTES];
    let len = File::open(path).and_then(|file| file.read_at(&mut line, 0)).unwrap_or(0);
    let Some(line) =
        line[..len].strip_prefix(b"#!").and_then(|rest| rest.split(|byte| *byte == b'\n').next())
    else {
        return Vec::new();
    };
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let Some(interpreter) = words.next().map(|word| PathBuf::from(OsStr::from_bytes(word))) else {
        return Vec::new();
    };
    let mut programs = Vec::new();
    if interpreter.file_name() == Some(OsStr::new("env")) {
        // Options and settings come before the program: `env -S VAR=1 python3`.
        let program = words.find(|word| !word.starts_with(b"-") && !word.contains(&b'='));
        programs.extend(program.and_then(|word| find_program(OsStr::from_bytes(word))));
    }
    programs.push(interpreter);
    programs
}

/// Where the loader looks for libraries.
struct Search {
    /// Libraries that the environment adds to every program.
    preloaded: Vec<PathBuf>,
    /// Folders that the environment puts first.
    folders: Vec<PathBuf>,
    /// Paths by library name, from the loader's cache.
    cache: HashMap<Vec<u8>, Vec<PathBuf>>,
}

impl Search {
    fn new(variable: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let list = |name| variable(name).map_or_else(Vec::new, OsString::into_vec);
        let paths = |list: Vec<u8>, separators: &'static [u8]| -> Vec<PathBuf> {
            let words = list.split(|byte| separators.contains(byte)).filter(|word| !word.is_empty());
            words.map(|word| PathBuf::from(OsStr::from_bytes(word))).collect()
        };
        let small = fs::metadata(CACHE).is_ok_and(|facts| facts.len() <= MAX_CACHE_BYTES);
        let cache = if small { fs::read(CACHE).unwrap_or_default() } else { Vec::new() };
        Search {
            preloaded: paths(list("LD_PRELOAD"), b": "),
            folders: paths(list("LD_LIBRARY_PATH"), b":;"),
            cache: parse_cache(&cache).unwrap_or_default(),
        }
    }

    /// Shared libraries that a program needs, directly and indirectly, nearest first.
    fn libraries(&self, program: &Path) -> Vec<PathBuf> {
        let Some(root) = dynamic::read(program) else { return Vec::new() };
        let mut found: Vec<PathBuf> = Vec::new();
        let mut asked: HashSet<OsString> = HashSet::new();
        let preloaded = self.preloaded.iter().map(|path| path.clone().into_os_string());
        let mut queue: VecDeque<(OsString, Dynamic)> = preloaded.map(|name| (name, root.clone())).collect();
        queue.extend(root.needed.iter().map(|name| (name.clone(), root.clone())));
        while let Some((name, needed_by)) = queue.pop_front() {
            if found.len() >= MAX_FILES || !asked.insert(name.clone()) {
                continue;
            }
            for (path, library) in self.variants(&name, &needed_by, &root) {
                queue.extend(library.needed.iter().map(|name| (name.clone(), library.clone())));
                found.push(path);
            }
        }
        found
    }

    /// The library of this name in the first folder that has it for the right machine, in all its variants.
    fn variants(&self, name: &OsStr, needed_by: &Dynamic, root: &Dynamic) -> Vec<(PathBuf, Dynamic)> {
        let usable = |path: PathBuf| {
            let library = dynamic::read(&path).filter(|library| library.machine == root.machine)?;
            Some((path, library))
        };
        if name.as_bytes().contains(&b'/') {
            return usable(PathBuf::from(name)).into_iter().collect();
        }
        let in_folder = |folder: &PathBuf| -> Vec<(PathBuf, Dynamic)> {
            VARIANTS.iter().filter_map(|variant| usable(folder.join(variant).join(name))).collect()
        };
        let first = |folders: &[PathBuf]| folders.iter().map(in_folder).find(|found| !found.is_empty());
        let inherited = if needed_by.runpath.is_empty() {
            [&needed_by.rpath[..], &root.rpath].concat()
        } else {
            Vec::new()
        };
        let cached = || {
            let paths = self.cache.get(name.as_bytes())?;
            Some(paths.iter().cloned().filter_map(usable).collect())
                .filter(|found: &Vec<_>| !found.is_empty())
        };
        first(&inherited)
            .or_else(|| first(&self.folders))
            .or_else(|| first(&needed_by.runpath))
            .or_else(cached)
            .or_else(|| first(&DEFAULT_FOLDERS.map(PathBuf::from)))
            .unwrap_or_default()
    }
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

    #[test]
    fn a_command_is_its_executable_then_its_libraries() {
        let paths = of_command(OsStr::new("sh")).unwrap();
        assert!(paths[0].ends_with("sh"), "{paths:?}");
        assert!(paths.iter().any(|path| path.to_string_lossy().contains("libc.")), "{paths:?}");
    }

    #[test]
    fn a_script_is_followed_to_its_interpreter() {
        let folder = env::temp_dir().join(format!("tracer-script-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for (line, expected) in [("#!/bin/sh", "/bin/sh"), ("#! /usr/bin/env -S A=1 sh -e", "sh")] {
            let script = folder.join("script");
            fs::write(&script, format!("{line}\nexit 0\n")).unwrap();
            fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
            let paths = of_command(script.as_os_str()).unwrap();
            assert_eq!(paths[0], script);
            assert!(paths[1].ends_with(expected.trim_start_matches('/')), "{paths:?}");
            assert!(paths.iter().any(|path| path.to_string_lossy().contains("libc.")), "{paths:?}");
        }
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_command_that_is_not_there_is_an_error() {
        for name in ["no-such-program-anywhere", "/etc/passwd", "/no/such/program"] {
            let message = of_command(OsStr::new(name)).unwrap_err().to_string();
            assert_eq!(
                message,
                format!("command {name}: not found in PATH, expected a program that can be run")
            );
        }
    }
}
