//! Libraries with probes that lie beside those of a program. Nothing tells which a program loads only while it runs (`dlopen`); but a
//! program that looks for its libraries in folders of its own, as launchers of runtimes do, most likely finds the others there too:
//! `java` has `$ORIGIN/../lib` and loads `server/libjvm.so` from it.

use std::collections::HashSet;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::arch::machine::Machine;
use crate::find::elf::{Elf, note};
use crate::find::facts::FileId;
use crate::find::launch::library::Budget;
use crate::find::root::Root;

/// Entries of folders that are looked at for one program.
const MAX_ENTRIES: usize = 1024;
/// Libraries with probes that are found for one program: no more than stay attached to though nothing maps them.
const MAX_FOUND: usize = 128;

/// Where libraries of a program lie.
#[derive(Debug)]
pub(super) struct Places {
    /// What they are made for.
    pub(super) machine: Machine,
    pub(super) folders: Vec<PathBuf>,
    /// Folders that all programs share, which are left out.
    pub(super) apart: Vec<PathBuf>,
}

/// What lies beside the libraries of a program.
#[derive(Debug)]
pub(crate) struct Beside {
    root: Root,
    places: Vec<Places>,
    /// Files that the program maps.
    mapped: HashSet<FileId>,
}

impl Beside {
    pub(super) fn new(root: Root, places: Vec<Places>, mapped: HashSet<FileId>) -> Self {
        Self { root, places, mapped }
    }

    /// Whether there is nowhere to look.
    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Looks in the folders, and in the folders in them, for shared libraries with probes, and hands each to `found` once.
    pub(crate) fn files(self, found: &mut dyn FnMut(&Path, File)) {
        let Self { root, places, mapped: mut seen } = self;
        let mut room = MAX_FOUND;
        for places in &places {
            if room == 0 {
                break;
            }
            libraries(&root, places, &mut |path, file| {
                if file.metadata().is_ok_and(|facts| seen.insert((facts.dev(), facts.ino()))) {
                    found(&path, file);
                    room -= 1;
                }
                room > 0
            });
        }
    }
}

fn libraries(root: &Root, places: &Places, found: &mut dyn FnMut(PathBuf, File) -> bool) {
    let budget = Budget::new();
    let is_affordable = |path: &Path| budget.step(path.as_os_str().len());
    let mut seen: HashSet<FileId> = places.apart.iter().filter_map(|folder| root.folder_id(folder)).collect();
    let (mut room, mut goes_on) = (MAX_ENTRIES, true);
    let mut paths = HashSet::new();
    for folder in places.folders.iter().filter(|folder| paths.insert(*folder)) {
        let mut inner = Vec::new();
        let mut look = |folder: &Path, inner: Option<&mut Vec<PathBuf>>| {
            if !goes_on || !is_affordable(folder) || !root.folder_id(folder).is_some_and(|id| seen.insert(id))
            {
                return;
            }
            let entries = root.entries(folder, room).unwrap_or_default();
            room -= entries.len();
            let (folders, files): (Vec<_>, Vec<_>) =
                entries.into_iter().partition(|(_, is_folder)| *is_folder);
            for (name, _) in files.into_iter().filter(|(name, _)| is_library(name.as_bytes())) {
                let path = folder.join(name);
                let file = is_affordable(&path).then(|| root.open(&path).ok()).flatten();
                if let Some(file) = file.filter(|file| has_probes(file, places.machine)) {
                    goes_on = found(path, file);
                    if !goes_on {
                        return;
                    }
                }
            }
            if let Some(inner) = inner {
                inner.extend(folders.into_iter().map(|(name, _)| folder.join(name)));
            }
        };
        look(folder, Some(&mut inner));
        inner.iter().for_each(|folder| look(folder, None));
    }
}

/// Whether a file has a name as shared libraries have it: `libjvm.so`, `libruby.so.3.1`.
fn is_library(name: &[u8]) -> bool {
    name.ends_with(b".so") || name.windows(4).any(|part| part == b".so.")
}

fn has_probes(file: &File, machine: Machine) -> bool {
    let elf = Elf::read(file).ok().flatten();
    elf.is_some_and(|elf| elf.machine().is_ok_and(|it| it == machine) && note::has_section(&elf))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    #[test]
    fn libraries_with_probes_are_found_in_a_folder_and_one_below_and_not_in_shared_ones() {
        let top = std::env::temp_dir().join(format!("tracer-beside-{}", std::process::id()));
        for folder in ["lib/inner/deeper", "shared"] {
            fs::create_dir_all(top.join(folder)).unwrap();
        }
        let (source, library) = (top.join("library.c"), top.join("library.so"));
        fs::write(&source, r#"asm(".pushsection .note.stapsdt, \"\", @note\n.long 0\n.popsection");"#)
            .unwrap();
        let made = Command::new("cc").arg("-shared").arg(&source).arg("-o").arg(&library).status();
        assert!(made.unwrap().success());
        for name in ["lib/inner/a.so", "lib/b.so.1", "lib/program", "lib/inner/deeper/c.so", "shared/d.so"] {
            fs::copy(&library, top.join(name)).unwrap();
        }
        fs::write(top.join("lib/text.so"), "no library").unwrap();
        let mut other = fs::read(&library).unwrap();
        // `e_machine` of ARM64.
        other[18..20].copy_from_slice(&183_u16.to_le_bytes());
        fs::write(top.join("lib/other.so"), other).unwrap();
        let found = |folders: &[&str]| {
            let folders: Vec<PathBuf> = folders.iter().map(|folder| top.join(folder)).collect();
            let places = Places { machine: Machine::X86_64, folders, apart: vec![top.join("shared")] };
            let mut found = Vec::new();
            libraries(&Root::own(), &places, &mut |path, _| {
                found.push(path);
                true
            });
            found
        };
        // The same folder under another name is the same.
        assert_eq!(
            found(&["lib", "shared/../lib", "lib", "none"]),
            [top.join("lib/b.so.1"), top.join("lib/inner/a.so")]
        );
        assert!(found(&["lib/../shared"]).is_empty());
        for number in 0..2 * MAX_ENTRIES {
            fs::write(top.join(format!("shared/{number}")), "").unwrap();
        }
        let entries = Root::own().entries(&top.join("shared"), MAX_ENTRIES).unwrap();
        assert_eq!(entries.len(), MAX_ENTRIES);
        fs::remove_dir_all(&top).unwrap();
    }

    #[test]
    fn names_of_libraries_are_known() {
        for (name, expected) in
            [("libjvm.so", true), ("libruby.so.3.1", true), ("libjvm.debuginfo", false), ("a.sox", false)]
        {
            assert_eq!(is_library(name.as_bytes()), expected, "{name}");
        }
    }
}
