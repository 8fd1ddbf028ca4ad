//! What a program or shared library tells the loader: which libraries it needs and where to look for them.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use object::LittleEndian as LE;
use object::elf::{self, Dyn64};

use crate::arch::machine::Machine;
use crate::error::Damage;
use crate::find::elf::{Access, Elf, file_offset};

/// Bytes of the dynamic section; 16 a line, and a program has 30 to 60 lines.
const MAX_DYNAMIC_BYTES: u64 = 64 << 10;
/// Bytes of one name or search path.
const MAX_STRING_BYTES: usize = 4096;

/// The loader's part of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dynamic {
    pub(crate) machine: Machine,
    /// Names of libraries, in order.
    pub(crate) needed: Vec<OsString>,
    /// Folders to search before the environment's, for this file and those it needs.
    pub(crate) rpath: Vec<PathBuf>,
    /// Folders to search after the environment's, for this file alone.
    pub(crate) runpath: Vec<PathBuf>,
}

/// The loader's part of the file at `path`; `None` if it cannot be read or is no ELF file for this purpose.
pub(crate) fn read(path: &Path) -> Option<Dynamic> {
    let file = File::open(path).ok()?;
    file.metadata().ok()?.is_file().then_some(())?;
    let origin = path.canonicalize().ok()?.parent()?.to_owned();
    parse(&Elf::read(&file).ok()??, &origin).ok()
}

fn parse(elf: &Elf<'_>, origin: &Path) -> Result<Dynamic, Damage> {
    let mut dynamic =
        Dynamic { machine: elf.machine()?, needed: Vec::new(), rpath: Vec::new(), runpath: Vec::new() };
    let segments = elf.segments()?;
    let Some(segment) = segments.iter().find(|segment| segment.p_type.get(LE) == elf::PT_DYNAMIC) else {
        return Ok(dynamic);
    };
    let len = segment.p_filesz.get(LE);
    if len > MAX_DYNAMIC_BYTES {
        return Err(Damage::Limit {
            what: "size of the dynamic section",
            found: len,
            max: MAX_DYNAMIC_BYTES,
        });
    }
    let lines: Vec<Dyn64<LE>> = elf.table("dynamic section", segment.p_offset.get(LE), len / 16 * 16)?;
    let lines =
        || lines.iter().map(|line| (line.d_tag.get(LE), line.d_val.get(LE))).take_while(|(tag, _)| *tag != 0);
    let strings = lines().find(|(tag, _)| *tag == elf::DT_STRTAB).map(|(_, address)| address);
    let Some(strings) = strings.and_then(|address| file_offset(&segments, address, Access::Any)) else {
        return Ok(dynamic);
    };
    for (tag, offset) in lines() {
        if !matches!(tag, elf::DT_NEEDED | elf::DT_RPATH | elf::DT_RUNPATH) {
            continue;
        }
        let text = elf.bytes_up_to(strings.saturating_add(offset), MAX_STRING_BYTES)?;
        let text = OsStr::from_bytes(text.split(|byte| *byte == 0).next().unwrap_or_default());
        match tag {
            elf::DT_NEEDED => dynamic.needed.push(text.to_owned()),
            elf::DT_RPATH => dynamic.rpath = folders(text, origin),
            _ => dynamic.runpath = folders(text, origin),
        }
    }
    Ok(dynamic)
}

/// Folders of a search path; `$ORIGIN` is the folder of the file itself.
fn folders(text: &OsStr, origin: &Path) -> Vec<PathBuf> {
    let folders = text.as_bytes().split(|byte| *byte == b':').filter(|folder| !folder.is_empty());
    let expand = |folder: &[u8]| {
        let relative = [&b"$ORIGIN"[..], b"${ORIGIN}"].iter().find_map(|name| folder.strip_prefix(*name));
        match relative {
            Some(tail) => origin.join(OsStr::from_bytes(tail.strip_prefix(b"/").unwrap_or(tail))),
            None => PathBuf::from(OsStr::from_bytes(folder)),
        }
    };
    folders.map(expand).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_is_the_folder_of_the_file() {
        let paths = folders(OsStr::new("$ORIGIN/../lib:${ORIGIN}::/opt/lib"), Path::new("/app/bin"));
        assert_eq!(paths, ["/app/bin/../lib", "/app/bin/", "/opt/lib"].map(PathBuf::from));
    }

    #[test]
    fn this_test_program_needs_the_c_library() {
        let dynamic = read(&std::env::current_exe().unwrap()).unwrap();
        assert!(dynamic.needed.iter().any(|name| name.to_string_lossy().starts_with("libc.")), "{dynamic:?}");
        assert_eq!(read(Path::new("/etc/passwd")), None);
        assert_eq!(read(Path::new("/proc/self")), None);
    }
}
