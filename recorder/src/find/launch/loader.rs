//! A loader that was started by name, and the program that its command line names.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::find::elf::dynamic::Dynamic;
use crate::find::launch::Runnable;
use crate::find::launch::library::{Budget, Search, Settings};
use crate::find::root::Root;

/// The command line of a loader.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct LoaderCall {
    program: OsString,
    arguments: Vec<OsString>,
    settings: Settings,
}

impl LoaderCall {
    /// Parses the arguments of glibc's and musl's loaders; `None` without a program.
    pub(super) fn parse(arguments: &[OsString]) -> Option<Self> {
        /// Options with a word behind them.
        const VALUED: [&[u8]; 7] = [
            b"--library-path",
            b"--preload",
            b"--audit",
            b"--argv0",
            b"--inhibit-rpath",
            b"--glibc-hwcaps-prepend",
            b"--glibc-hwcaps-mask",
        ];
        let mut call = Self::default();
        let mut words = arguments.iter();
        loop {
            let word = words.next()?;
            let bytes = word.as_bytes();
            if !bytes.starts_with(b"--") {
                word.clone_into(&mut call.program);
                break;
            }
            if bytes == b"--" {
                words.next()?.clone_into(&mut call.program);
                break;
            }
            let equals = bytes.iter().position(|byte| *byte == b'=');
            let (name, value) = match equals {
                Some(at) => (&bytes[..at], &bytes[at + 1..]),
                None if VALUED.contains(&bytes) => (bytes, words.next()?.as_bytes()),
                None => continue,
            };
            match name {
                b"--library-path" => call.settings.folders = value.to_vec(),
                b"--preload" => call.settings.preload = value.to_vec(),
                b"--audit" => call.settings.audit = value.to_vec(),
                _ => {}
            }
        }
        call.arguments = words.cloned().collect();
        Some(call)
    }

    /// The program that it names.
    pub(super) fn program(
        self,
        root: &Root,
        settings: &Settings,
        loader: &Dynamic,
        budget: &Budget,
    ) -> Option<Runnable> {
        let Self { program, arguments, settings: given } = self;
        let direct = |path: PathBuf| root.open(&path).ok().map(|file| (path, file));
        let (path, file) = if program.as_bytes().contains(&b'/') {
            direct(program.into())?
        } else {
            let search = Search::new(root, &settings.overridden(&given), Path::new("."), budget);
            let found = search.program(&program, loader).map(|(path, file, _)| (path, file));
            found.or_else(|| direct(program.into()))?
        };
        Some(Runnable { path, file, arguments, settings: given })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn the_command_line_of_a_loader_names_a_program_and_says_where_libraries_are() {
        let call =
            LoaderCall::parse(&words("--preload a.so --library-path=/l --inhibit-cache ./app -x")).unwrap();
        let settings = Settings { preload: b"a.so".to_vec(), folders: b"/l".to_vec(), ..Settings::default() };
        assert_eq!(call, LoaderCall { program: "./app".into(), arguments: words("-x"), settings });
        assert_eq!(LoaderCall::parse(&words("-- --app")).unwrap().program, "--app");
        for text in ["", "--version", "--library-path", "--library-path app"] {
            assert_eq!(LoaderCall::parse(&words(text)), None, "{text}");
        }
    }
}
