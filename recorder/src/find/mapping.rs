//! Files that a process has mapped, from `/proc/PID/maps`.

mod query;
pub(crate) mod view;

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::host::process;

/// Bytes of a maps file that are read: 65 530 mappings (the kernel's default limit) with long paths.
const MAX_MAPS_BYTES: u64 = 64 << 20;

/// A file that a process has mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mapping {
    /// Address range as the kernel names it in `map_files`, such as `7f0c00-7f0d00`; of an executable part if there is one.
    pub(crate) range: String,
    /// Device and inode as the kernel prints them; on some file systems not those that `stat` gives, and not always different
    /// for different files.
    pub(crate) file: (u64, u64),
    /// Path as the process sees it, without the kernel's mark of a deleted file.
    pub(crate) path: PathBuf,
    /// What of the file is mapped, in address order.
    pub(crate) parts: Vec<MappedPart>,
}

/// A part of a file in the memory of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MappedPart {
    /// Offset in the file, bytes.
    pub(crate) offset: u64,
    /// Bytes.
    pub(crate) len: u64,
    pub(crate) is_executable: bool,
    pub(crate) is_writable: bool,
    /// Whether what is written goes to the file.
    pub(crate) is_shared: bool,
}

impl MappedPart {
    pub(crate) fn covers(&self, offset: u64) -> bool {
        offset.checked_sub(self.offset).is_some_and(|within| within < self.len)
    }

    /// Whether the kernel puts breakpoints there.
    pub(crate) fn takes_breakpoints(&self) -> bool {
        self.is_executable && !self.is_writable && !self.is_shared
    }
}

impl Mapping {
    /// Whether instructions of the file are mapped.
    pub(crate) fn is_executable(&self) -> bool {
        self.parts.iter().any(|part| part.is_executable)
    }
}

/// Mapped files, and whether there are more than are looked at.
pub(crate) type Mappings = (Vec<Mapping>, bool);

/// Files that a process has mapped, in the order of their first addresses, each once, and whether it has more mappings than are looked
/// at; `folder` is its folder in `/proc`.
///
/// # Errors
/// If the process is gone or belongs to another user.
pub(crate) fn read(folder: &Path) -> io::Result<Mappings> {
    text(open(folder)?, |_| true)
}

/// The same of what the process can run: files of which instructions are mapped, and no other parts of these.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_code(folder: &Path) -> io::Result<Mappings> {
    let maps = open(folder)?;
    // Most of what a process maps is no code, and most of the time would go into telling of it.
    query::code(&maps).map_or_else(|| text(maps, Mapping::is_executable), Ok)
}

fn open(folder: &Path) -> io::Result<fs::File> {
    fs::File::open(folder.join("maps"))
}

/// What the text of a maps file says, as far as `is_wanted`.
fn text(maps: fs::File, is_wanted: impl Fn(&Mapping) -> bool) -> io::Result<Mappings> {
    // As much as the kernel gives at a time.
    let mut text = Vec::with_capacity(4096);
    maps.take(MAX_MAPS_BYTES).read_to_end(&mut text)?;
    let mappings = text.split(|byte| *byte == b'\n').filter_map(parse).filter(is_wanted);
    Ok((each_once(mappings), text.len() as u64 == MAX_MAPS_BYTES))
}

/// Puts the parts of each file together.
fn each_once(mappings: impl Iterator<Item = Mapping>) -> Vec<Mapping> {
    let mut places: HashMap<((u64, u64), PathBuf), usize> = HashMap::new();
    let mut files: Vec<Mapping> = Vec::new();
    for mapping in mappings {
        let place = *places.entry((mapping.file, mapping.path.clone())).or_insert(files.len());
        match files.get_mut(place) {
            None => files.push(mapping),
            Some(file) => {
                if mapping.is_executable() && !file.is_executable() {
                    file.range = mapping.range;
                }
                file.parts.extend(mapping.parts);
            }
        }
    }
    files
}

/// Parses `START-END PERMISSIONS OFFSET MAJOR:MINOR INODE PATH`; `None` unless it maps a file.
fn parse(line: &[u8]) -> Option<Mapping> {
    let mut rest = line;
    let mut field = || {
        let start = rest.iter().position(|byte| *byte != b' ')?;
        let end = rest[start..].iter().position(|byte| *byte == b' ').map_or(rest.len(), |len| start + len);
        let (field, tail) = (&rest[start..end], &rest[end..]);
        rest = tail;
        str::from_utf8(field).ok()
    };
    let hexadecimal = |text: &str| u64::from_str_radix(text, 16).ok();
    let (range, permissions, offset, device, inode) = (field()?, field()?, field()?, field()?, field()?);
    let inode = inode.parse().ok().filter(|inode| *inode != 0)?;
    let (start, end) = range.split_once('-')?;
    let (start, end) = (hexadecimal(start)?, hexadecimal(end)?);
    let part = MappedPart {
        offset: hexadecimal(offset)?,
        len: end.checked_sub(start)?,
        is_executable: permissions.contains('x'),
        is_writable: permissions.contains('w'),
        is_shared: permissions.contains('s'),
    };
    let (major, minor) = device.split_once(':')?;
    let device =
        rustix::fs::makedev(u32::from_str_radix(major, 16).ok()?, u32::from_str_radix(minor, 16).ok()?);
    let path = process::undeleted(&unescape(rest.trim_ascii_start()));
    // Small addresses have zeros before them here, and none in the names of `map_files`.
    Some(Mapping { range: format!("{start:x}-{end:x}"), file: (device, inode), path, parts: vec![part] })
}

/// Path as it is; the kernel writes a newline in it as `\012`.
fn unescape(text: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    let mut path = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        let newline = rest.strip_prefix(b"\\012");
        path.push(if newline.is_some() { b'\n' } else { *first });
        rest = newline.unwrap_or(tail);
    }
    std::ffi::OsString::from_vec(path).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Option<Mapping> {
        parse(line.as_bytes())
    }

    fn part(offset: u64, len: u64, permissions: &str) -> MappedPart {
        let has = |letter| permissions.contains(letter);
        MappedPart { offset, len, is_executable: has('x'), is_writable: has('w'), is_shared: has('s') }
    }

    #[test]
    fn file_mappings_are_kept() {
        let line =
            "7f8a0c000000-7f8a0c022000 r-xp 00001000 fd:1f 4711                       /usr/lib/libc.so.6";
        let expected = Mapping {
            range: "7f8a0c000000-7f8a0c022000".into(),
            file: (rustix::fs::makedev(0xfd, 0x1f), 4711),
            path: "/usr/lib/libc.so.6".into(),
            parts: vec![part(0x1000, 0x22000, "x")],
        };
        assert_eq!(parsed(line), Some(expected));
    }

    #[test]
    fn paths_may_hold_blanks_newlines_and_the_mark_of_deleted_files() {
        let path = |text: &str| parsed(&format!("1-2 r-xp 0 00:01 5 {text}")).unwrap().path;
        assert_eq!(path("/my app/a b"), PathBuf::from("/my app/a b"));
        assert_eq!(path("/a\\012b"), PathBuf::from("/a\nb"));
        assert_eq!(path("/memfd:jit (deleted)"), PathBuf::from("/memfd:jit"));
    }

    #[test]
    fn small_addresses_are_named_as_the_kernel_names_their_files() {
        let line = "00400000-0049c000 r-xp 00003000 fe:00 5 /usr/bin/gcc";
        assert_eq!(parsed(line).unwrap().range, "400000-49c000");
    }

    #[test]
    fn other_mappings_and_odd_lines_are_skipped() {
        for line in [
            "",
            "1 r--p 0 00:01 5 /data",
            "2-1 r-xp 0 00:01 5 /a",
            "1-2 r-xp zero 00:01 5 /a",
            "1-2 r-xp 0 00:00 0 [vdso]",
            "1-2 r-xp 0 00:01",
            "1-2 r-xp 0 0001 5 /a",
            "1-2 r-xp 0 zz:01 5 /a",
            "1-2 r-xp 0 00:01 five /a",
        ] {
            assert_eq!(parsed(line), None, "{line}");
        }
    }

    #[test]
    fn breakpoints_go_where_code_is_and_nothing_is_written() {
        for (permissions, expected) in [("x", true), ("wx", false), ("xs", false), ("", false), ("w", false)]
        {
            assert_eq!(part(0, 1, permissions).takes_breakpoints(), expected, "{permissions}");
        }
        let part = part(0x1000, 0x100, "x");
        let covered = [0xfff, 0x1000, 0x10ff, 0x1100].map(|offset| part.covers(offset));
        assert_eq!(covered, [false, true, true, false]);
    }

    #[test]
    fn this_process_maps_its_own_executable_in_parts() {
        let executable = std::env::current_exe().unwrap();
        let (mappings, _) = read(Path::new("/proc/self")).unwrap();
        let own: Vec<_> = mappings.iter().filter(|mapping| mapping.path == executable).collect();
        let [own] = &own[..] else { panic!("{own:?}") };
        assert!(own.is_executable() && own.parts.len() > 1, "{own:?}");
        assert!(read(Path::new("/proc/0")).is_err());
    }
}
