//! A program that is about to run: what the kernel and the loader will map for it before its first instruction.
//!
//! A script leads to its interpreter, one without `#!` to the shell, and a loader that was started by name to the program that
//! it was given.

pub(crate) mod beside;
mod library;
mod loader;
mod refusal;

use std::collections::{HashSet, VecDeque};
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::find::elf::dynamic::{self, Dynamic};
use crate::find::launch::beside::{Beside, Places};
use crate::find::launch::library::{Budget, Search, Settings};
use crate::find::launch::loader::LoaderCall;
use crate::find::look::call::path_of;
use crate::find::root::{self, Root};
use crate::host::helper::board;

pub(crate) use refusal::{explained, find_command};

/// Programs that run one another: scripts whose interpreters are scripts, loaders of loaders.
const MAX_PROGRAMS: usize = 8;
/// Bytes of the first line of a script, as the kernel has it.
const MAX_SCRIPT_LINE_BYTES: usize = 256;
/// Bytes of a process' environment or command line that are looked at: more than the kernel takes for both (6 MiB).
const MAX_WORDS_BYTES: u64 = 8 << 20;
/// Arguments that are looked at. Only those of a loader matter.
pub(crate) const MAX_ARGUMENTS: usize = 16 << 10;
/// What runs a script without `#!`.
pub(crate) const SHELL: &str = "/bin/sh";

/// A program that is about to run.
pub(crate) struct Launch {
    root: Root,
    program: Runnable,
    settings: Settings,
    /// `PATH`.
    path: OsString,
    /// What the caller knows of it, besides the program, as a number.
    identity: u64,
}

/// A file that is run, and what it is given.
struct Runnable {
    path: PathBuf,
    file: File,
    arguments: Vec<OsString>,
    /// Settings that it was given on its command line.
    settings: Settings,
}

impl Launch {
    /// The program at `path`, which the parent of this process will start with these arguments.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn of_command(path: PathBuf, arguments: Vec<OsString>) -> io::Result<Self> {
        // A helper looks, which has other open files than its parent.
        let parent =
            rustix::process::getppid().map_or(0, |parent| parent.as_raw_nonzero().get().cast_unsigned());
        let root = Root::of_process(parent);
        let (root, file) = match root.open(&path) {
            Ok(file) => (root, file),
            Err(_) => (Root::own(), root::open(&path)?),
        };
        let program = Runnable { path, file, arguments, settings: Settings::default() };
        let variable = |name: &str| env::var_os(name).unwrap_or_default();
        Ok(Self::new(root, program, &variable, 0))
    }

    /// The program that process `pid` has just begun to run; `path` is its name, and where it is if the process is gone. `None`
    /// if there is no such file.
    pub(crate) fn of_process(pid: u32, path: &Path) -> Option<Self> {
        let root = Root::of_process(pid);
        let path = root.inside(path);
        let (path, file) = match root::open(&PathBuf::from(format!("/proc/{pid}/exe"))) {
            Ok(file) => (path, file),
            Err(_) => {
                let file = root.open(&path).ok()?;
                // By the working folder of another process.
                let is_by_other = path.starts_with("/proc");
                (if is_by_other { root.inside(&path_of(file.as_fd())) } else { path }, file)
            }
        };
        let arguments = process_words(pid, "cmdline");
        let arguments = words(&arguments).skip(1).take(MAX_ARGUMENTS);
        let arguments = arguments.map(|word| OsStr::from_bytes(word).to_owned()).collect();
        let environment = process_words(pid, "environ");
        let variable = |name: &str| {
            let value = |word: &[u8]| Some(word.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?.to_vec());
            OsString::from_vec(words(&environment).find_map(value).unwrap_or_default())
        };
        let program = Runnable { path, file, arguments, settings: Settings::default() };
        let working = fs::metadata(format!("/proc/{pid}/cwd")).map(|facts| (facts.dev(), facts.ino()));
        let identity = hash(&(root::identity(&pid.to_string()), working.ok()));
        Some(Self::new(root, program, &variable, identity))
    }

    /// The program in the open file at this path, which process `pid` waits to run, with these arguments behind its name and
    /// these variables of its environment, as `NAME=VALUE`.
    pub(crate) fn of_waiting(
        pid: u32,
        program: (PathBuf, File),
        arguments: Vec<OsString>,
        variables: &[OsString],
    ) -> Self {
        let root = Root::of_process(pid);
        let (path, file) = program;
        let program = Runnable { path: root.inside(&path), file, arguments, settings: Settings::default() };
        let variable = |name: &str| {
            let value = |word: &OsString| {
                word.as_bytes().strip_prefix(name.as_bytes())?.strip_prefix(b"=").map(<[u8]>::to_vec)
            };
            OsString::from_vec(variables.iter().find_map(value).unwrap_or_default())
        };
        Self::new(root, program, &variable, 0)
    }

    /// The program that process `pid` would run if it were given `name`; `None` if there is none.
    pub(crate) fn of_argument(pid: u32, name: &OsStr, variables: &[OsString]) -> Option<Self> {
        let root = Root::of_process(pid);
        let path = Some(PathBuf::from(name)).filter(|path| root.is_program(path));
        let path = path.or_else(|| find_in(&env::var_os("PATH").unwrap_or_default(), name, &root))?;
        let file = root.open(&path).ok()?;
        Some(Self::of_waiting(pid, (path, file), Vec::new(), variables))
    }

    fn new(root: Root, program: Runnable, variable: &dyn Fn(&str) -> OsString, identity: u64) -> Self {
        let settings = Settings {
            preload: variable("LD_PRELOAD").into_vec(),
            audit: variable("LD_AUDIT").into_vec(),
            folders: variable("LD_LIBRARY_PATH").into_vec(),
        };
        Self { root, program, settings, path: variable("PATH"), identity }
    }

    /// Path of the program, as the process sees it.
    pub(crate) fn path(&self) -> &Path {
        &self.program.path
    }

    /// A number that is the same for launches that map the same files.
    pub(crate) fn identity(&self) -> u64 {
        let facts = self.program.file.metadata().map(|facts| (facts.dev(), facts.ino()));
        let is_loader = self.program.dynamic().is_none_or(|dynamic| dynamic.is_loader);
        let arguments = if is_loader { &self.program.arguments[..] } else { &[] };
        hash(&(facts.ok(), &self.settings, arguments, self.identity))
    }

    /// Hands the files that will be mapped to `found`, each once: the program, those that run it, and their libraries. Gives those that
    /// may be loaded later; false if there are too many places to look for libraries, which a program may have made so.
    pub(crate) fn files(self, found: &mut dyn FnMut(&Path, File)) -> (Beside, bool) {
        let budget = Budget::new();
        let mut seen = HashSet::new();
        let mut once = |path: PathBuf, file: File| {
            if file.metadata().is_ok_and(|facts| seen.insert((facts.dev(), facts.ino()))) {
                found(&path, file);
            }
        };
        let Self { root, program, settings, path, .. } = self;
        let mut queue = VecDeque::from([program]);
        let (mut programs, mut count) = (Vec::new(), 0);
        while let Some(program) = queue.pop_front() {
            if count == MAX_PROGRAMS {
                budget.leave_out();
                break;
            }
            count += 1;
            queue.extend(program.runs(&root, &settings, &path, &budget));
            if let Some(dynamic) = program.dynamic() {
                programs.push((dynamic, program.settings, program.path.clone()));
            }
            once(program.path, program.file);
        }
        let mut places = Vec::new();
        for (dynamic, given, path) in programs {
            let settings = settings.overridden(&given);
            let search = Search::new(&root, &settings, dynamic::origin(&path), &budget);
            let folders = search.libraries(&dynamic, &mut once);
            if !folders.is_empty() {
                places.push(Places { machine: dynamic.machine, folders, apart: search.shared_folders() });
            }
        }
        (Beside::new(root, places, seen), budget.is_whole())
    }
}

impl Runnable {
    fn dynamic(&self) -> Option<Dynamic> {
        dynamic::read(&self.file, dynamic::origin(&self.path))
    }

    /// The programs that the kernel, the caller or this program itself runs in order to run it.
    fn runs(&self, root: &Root, settings: &Settings, path: &OsStr, budget: &Budget) -> Vec<Self> {
        let mut line = [0; MAX_SCRIPT_LINE_BYTES];
        let len = self.file.read_at(&mut line, 0).unwrap_or(0);
        let line = &line[..len];
        if let Some(dynamic) = self.dynamic() {
            if dynamic.is_loader && self.arguments.len() >= MAX_ARGUMENTS {
                budget.leave_out();
            }
            let call = dynamic.is_loader.then(|| LoaderCall::parse(&self.arguments)).flatten();
            return call
                .and_then(|call| call.program(root, settings, &dynamic, budget))
                .into_iter()
                .collect();
        }
        let open = |path: PathBuf, arguments: &[OsString]| {
            let file = root.open(&path).ok()?;
            Some(Self { path, file, arguments: arguments.to_vec(), settings: Settings::default() })
        };
        if let Some(line) = line.strip_prefix(b"#!") {
            let programs = interpreters(line, path, root);
            return programs.into_iter().filter_map(|(path, arguments)| open(path, &arguments)).collect();
        }
        // What is in no form that the kernel knows is run by the shell, as `execvp` has it.
        let is_text = !line.starts_with(&object::elf::ELFMAG);
        is_text.then(|| open(PathBuf::from(SHELL), &[])).flatten().into_iter().collect()
    }
}

impl Settings {
    /// These, where the loader's command line does not say otherwise.
    fn overridden(&self, given: &Self) -> Self {
        let pick =
            |given: &Vec<u8>, own: &Vec<u8>| if given.is_empty() { own.clone() } else { given.clone() };
        Self {
            preload: [&given.preload[..], b" ", &self.preload].concat(),
            audit: pick(&given.audit, &self.audit),
            folders: pick(&given.folders, &self.folders),
        }
    }
}

/// Programs that run a script with their arguments, from what stands behind its `#!`; with `env`, first the one that `env` looks
/// for.
fn interpreters(line: &[u8], path: &OsStr, root: &Root) -> Vec<(PathBuf, Vec<OsString>)> {
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let words: Vec<OsString> = words.map(|word| OsStr::from_bytes(word).to_owned()).collect();
    let Some((interpreter, arguments)) = words.split_first() else { return Vec::new() };
    let interpreter = PathBuf::from(interpreter);
    let mut programs = Vec::new();
    if interpreter.file_name() == Some(OsStr::new("env")) {
        // Options and settings come before the program: `env -S VAR=1 python3`.
        let is_program =
            |word: &OsString| !word.as_bytes().starts_with(b"-") && !word.as_bytes().contains(&b'=');
        if let Some(at) = arguments.iter().position(is_program)
            && let Some(program) = find_in(path, &arguments[at], root)
        {
            programs.push((program, arguments[at + 1..].to_vec()));
        }
    }
    programs.push((interpreter, arguments.to_vec()));
    programs
}

/// Path of a program, as a shell looks for it.
pub(crate) fn find_program(name: &OsStr) -> Option<PathBuf> {
    find_in(&env::var_os("PATH").unwrap_or_default(), name, &Root::own())
}

/// Path of a program that the kernel does not run, because it is no program in its eyes but a text.
pub(crate) fn find_script(name: &OsStr) -> Option<PathBuf> {
    let path = find_program(name)?;
    let mut start = [0; 4];
    let len = root::open(&path).and_then(|file| file.read_at(&mut start, 0)).ok()?;
    (!start[..len].starts_with(&object::elf::ELFMAG)).then_some(path)
}

fn find_in(folders: &OsStr, name: &OsStr, root: &Root) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| root.is_program(path);
    places(folders, name).into_iter().find(is_program)
}

/// Where the program that the user named may be.
fn candidates(name: &OsStr) -> Vec<PathBuf> {
    places(&env::var_os("PATH").unwrap_or_default(), name)
}

/// Where a program of this name may be: that very path, or one in each of the folders.
fn places(folders: &OsStr, name: &OsStr) -> Vec<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return vec![PathBuf::from(name)];
    }
    let usual = OsStr::new("/usr/local/bin:/usr/bin:/bin");
    let folders = if folders.is_empty() { usual } else { folders };
    env::split_paths(folders).map(|folder| folder.join(name)).collect()
}

/// What a file of process `pid` holds; nothing if it is gone.
fn process_words(pid: u32, name: &str) -> Vec<u8> {
    let mut text = Vec::new();
    let path = PathBuf::from(format!("/proc/{pid}/{name}"));
    board::at(&path);
    let file = File::open(path);
    let _ = file.and_then(|file| file.take(MAX_WORDS_BYTES).read_to_end(&mut text));
    text
}

/// Words, each with a NUL behind it.
fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == 0)
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    fn paths(command: &[OsString]) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        let (name, arguments) = command.split_first().unwrap();
        let launch = Launch::of_command(find_program(name).unwrap(), arguments.to_vec()).unwrap();
        launch.files(&mut |path, _| paths.push(path.to_owned()));
        paths
    }

    fn has_c_library(paths: &[PathBuf]) -> bool {
        paths.iter().any(|path| path.to_string_lossy().contains("libc."))
    }

    /// A folder that goes away, with an executable file in it.
    struct Script(PathBuf);

    impl Script {
        fn new(name: &str) -> Self {
            let folder = env::temp_dir().join(format!("tracer-launch-{name}-{}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn write(&self, text: &str) -> PathBuf {
            let script = self.0.join("script");
            fs::write(&script, text).unwrap();
            fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
            script
        }
    }

    impl Drop for Script {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_command_is_its_executable_then_its_libraries() {
        let paths = paths(&words("sh"));
        assert!(paths[0].ends_with("sh") && has_c_library(&paths), "{paths:?}");
    }

    #[test]
    fn a_script_is_followed_to_its_interpreter() {
        let folder = Script::new("interpreter");
        for (line, expected) in [
            ("#!/bin/sh", "bin/sh"),
            ("#! /usr/bin/env -S A=1 sh -e", "sh"),
            // The shell runs what the kernel does not know.
            ("", "bin/sh"),
        ] {
            let script = folder.write(&format!("{line}\nexit 0\n"));
            let paths = paths(&[script.clone().into_os_string()]);
            assert_eq!(paths[0], script);
            assert!(paths[1].ends_with(expected) && has_c_library(&paths), "{line}: {paths:?}");
        }
    }

    #[test]
    fn a_loader_is_followed_to_the_program_that_it_is_given() {
        let (mappings, _) = crate::find::mapping::read(Path::new("/proc/self")).unwrap();
        let loader = mappings.iter().find(|mapping| mapping.path.to_string_lossy().contains("/ld-")).unwrap();
        let shell = fs::canonicalize("/bin/sh").unwrap();
        for options in ["", "--library-path /nowhere --argv0=x", "--inhibit-cache"] {
            let mut command = vec![loader.path.clone().into_os_string()];
            command.extend(words(options));
            command.push(shell.clone().into_os_string());
            let paths = paths(&command);
            assert!(paths[1] == shell && has_c_library(&paths), "{paths:?}");
        }
    }

    #[test]
    fn a_program_that_was_found_by_the_folder_of_another_process_is_named_by_its_own() {
        let path = format!("/proc/{}/cwd/./src/lib.rs", std::process::id());
        let launch = Launch::of_process(u32::MAX, Path::new(&path)).unwrap();
        assert_eq!(launch.path(), env::current_dir().unwrap().join("src/lib.rs"));
    }

    #[test]
    fn a_launch_with_other_libraries_is_another_one() {
        let pid = std::process::id();
        let identity = |folders: &str| {
            let mut launch = Launch::of_process(pid, Path::new("/gone")).unwrap();
            launch.settings.folders = folders.into();
            launch.identity()
        };
        assert_eq!(identity("/a"), identity("/a"));
        assert_ne!(identity("/a"), identity("/b"));
    }

    #[test]
    fn what_is_no_program_is_not_found() {
        for name in ["no-such-program-anywhere", "/etc/passwd", "/no/such/program"] {
            assert_eq!(find_program(OsStr::new(name)), None, "{name}");
        }
    }
}
