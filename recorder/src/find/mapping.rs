//! Files that a process has mapped for execution, from `/proc/PID/maps`.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;

/// Bytes of a maps file that are read: 65 530 mappings (the kernel's default limit) with long paths.
const MAX_MAPS_BYTES: u64 = 64 << 20;

/// An executable mapping of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mapping {
    /// Address range as the kernel names it in `map_files`, such as `7f0c00-7f0d00`.
    pub(crate) range: String,
    /// Device and inode as the kernel prints them; on some file systems not those that `stat` gives.
    pub(crate) file: (u64, u64),
    /// Path as the process sees it, without the kernel's mark of a deleted file.
    pub(crate) path: PathBuf,
}

/// Executable file mappings of a process, in address order, each file once.
///
/// # Errors
/// If the process is gone or belongs to somebody else.
pub(crate) fn read(pid: u32) -> io::Result<Vec<Mapping>> {
    let mut text = Vec::new();
    fs::File::open(format!("/proc/{pid}/maps"))?.take(MAX_MAPS_BYTES).read_to_end(&mut text)?;
    let mut seen = HashSet::new();
    let mappings = text.split(|byte| *byte == b'\n').filter_map(parse);
    Ok(mappings.filter(|mapping| seen.insert(mapping.file)).collect())
}

/// Parses `START-END PERMISSIONS OFFSET MAJOR:MINOR INODE PATH`; `None` unless it maps a file for execution.
fn parse(line: &[u8]) -> Option<Mapping> {
    let mut rest = line;
    let mut field = || {
        let start = rest.iter().position(|byte| *byte != b' ')?;
        let end = rest[start..].iter().position(|byte| *byte == b' ').map_or(rest.len(), |len| start + len);
        let (field, tail) = (&rest[start..end], &rest[end..]);
        rest = tail;
        str::from_utf8(field).ok()
    };
    let (range, permissions, _, device, inode) = (field()?, field()?, field()?, field()?, field()?);
    let inode = inode.parse().ok().filter(|inode| *inode != 0 && permissions.contains('x'))?;
    let (major, minor) = device.split_once(':')?;
    let device =
        rustix::fs::makedev(u32::from_str_radix(major, 16).ok()?, u32::from_str_radix(minor, 16).ok()?);
    let path = unescape(rest.trim_ascii_start());
    Some(Mapping {
        range: range.to_owned(),
        file: (device, inode),
        path: crate::host::process::undeleted(&path),
    })
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

    #[test]
    fn executable_file_mappings_are_kept() {
        let line =
            "7f8a0c000000-7f8a0c022000 r-xp 00001000 fd:1f 4711                       /usr/lib/libc.so.6";
        let expected = Mapping {
            range: "7f8a0c000000-7f8a0c022000".into(),
            file: (rustix::fs::makedev(0xfd, 0x1f), 4711),
            path: "/usr/lib/libc.so.6".into(),
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
    fn other_mappings_and_odd_lines_are_skipped() {
        for line in [
            "",
            "1-2 r--p 0 00:01 5 /data",
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
    fn this_process_maps_its_own_executable_once() {
        let executable = std::env::current_exe().unwrap();
        let mappings = read(std::process::id()).unwrap();
        assert_eq!(mappings.iter().filter(|mapping| mapping.path == executable).count(), 1);
        assert!(read(u32::MAX).is_err());
    }
}
