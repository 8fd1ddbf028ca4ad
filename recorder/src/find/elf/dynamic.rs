//! What a program or shared library tells the loader: which libraries it needs and where to look for them.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use object::LittleEndian as LE;
use object::elf::{self, Dyn64, ProgramHeader64};

use crate::arch::machine::Machine;
use crate::error::Damage;
use crate::find::elf::Elf;
use crate::find::elf::segment::{Access, file_offset};

/// Bytes of the dynamic section; 16 a line, and a program has 30 to 60 lines.
const MAX_DYNAMIC_BYTES: u64 = 64 << 10;
/// Bytes of one name, with its NUL: the kernel opens no longer one.
const MAX_NAME_BYTES: usize = 4096;
/// Bytes of one search path.
const MAX_PATH_BYTES: usize = 64 << 10;
/// Bytes of the names and folders of one file, all together; beyond that they are not looked at.
const MAX_STRINGS_BYTES: usize = 256 << 10;
/// Folders of one search path.
pub(crate) const MAX_FOLDERS: usize = 4096;
/// Paths that one path with `$LIB` and the like stands for.
const MAX_EXPANDED: usize = 64;

/// The loader's part of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dynamic {
    pub(crate) machine: Machine,
    /// Names or paths of libraries, in order, those that watch the loader (`DT_AUDIT`) among them.
    pub(crate) needed: Vec<OsString>,
    /// Folders to search before the environment's, for this file and those it needs.
    pub(crate) rpath: Vec<PathBuf>,
    /// Folders to search after the environment's, for this file alone.
    pub(crate) runpath: Vec<PathBuf>,
    /// Whether it is a loader, which runs the program that its arguments name: it can be run, needs no loader itself, and
    /// is a library.
    pub(crate) is_loader: bool,
    /// Whether it has more names and folders than are looked at.
    pub(crate) is_cut: bool,
}

/// The loader's part of a file in the folder `origin`; `None` if it cannot be read or is no ELF file for this purpose.
pub(crate) fn read(file: &dyn FileExt, origin: &Path) -> Option<Dynamic> {
    // Section headers are of no use to the loader.
    let elf = Elf::read_header(file).ok()??;
    let mut dynamic = Dynamic {
        machine: elf.machine().ok()?,
        needed: Vec::new(),
        rpath: Vec::new(),
        runpath: Vec::new(),
        is_loader: false,
        is_cut: false,
    };
    match parse(&elf, origin, &mut dynamic) {
        // It may run all the same.
        Err(Damage::Limit { .. }) => dynamic.is_cut = true,
        other => other.ok()?,
    }
    Some(dynamic)
}

fn parse(elf: &Elf<'_>, origin: &Path, dynamic: &mut Dynamic) -> Result<(), Damage> {
    let segments = elf.segments()?;
    let of_type = |kind| segments.iter().find(|segment| segment.p_type.get(LE) == kind);
    let lines = lines(elf, &segments)?;
    let lines = || lines.iter().copied();
    let has_name = lines().any(|(tag, _)| tag == elf::DT_SONAME);
    dynamic.is_loader = has_name && elf.entry() != 0 && of_type(elf::PT_INTERP).is_none();
    let strings = lines().find(|(tag, _)| *tag == elf::DT_STRTAB).map(|(_, address)| address);
    let Some(strings) = strings.and_then(|address| file_offset(&segments, address, Access::Any)) else {
        return Ok(());
    };
    let mut len = 0;
    for (tag, offset) in lines() {
        // Those of a list lie between colons.
        let is_list = matches!(tag, elf::DT_RPATH | elf::DT_RUNPATH | elf::DT_AUDIT | elf::DT_DEPAUDIT);
        if !is_list && !matches!(tag, elf::DT_NEEDED | elf::DT_AUXILIARY | elf::DT_FILTER) {
            continue;
        }
        let max = if is_list { MAX_PATH_BYTES } else { MAX_NAME_BYTES };
        let text = elf.bytes_up_to(strings.saturating_add(offset), max)?;
        let end = text.iter().position(|byte| *byte == 0);
        // The kernel opens no name that is longer.
        dynamic.is_cut |= is_list && end.is_none() && text.len() == max;
        let text = &text[..end.unwrap_or(text.len())];
        match tag {
            elf::DT_RPATH => dynamic.rpath = folders(text, b":", origin, &mut dynamic.is_cut),
            elf::DT_RUNPATH => dynamic.runpath = folders(text, b":", origin, &mut dynamic.is_cut),
            _ => {
                let names = text.split(|byte| is_list && *byte == b':').filter(|name| !name.is_empty());
                let names = names.flat_map(|name| expand(name, origin, &mut dynamic.is_cut));
                dynamic.needed.extend(names.map(OsString::from_vec));
            }
        }
        // `$LIB` and the like stand for several.
        len += if text.contains(&b'$') { 8 * text.len() } else { text.len() };
        if len > MAX_STRINGS_BYTES {
            dynamic.is_cut = true;
            break;
        }
    }
    Ok(())
}

/// The lines of the dynamic section, as tag and value; none if there is no such section.
fn lines(elf: &Elf<'_>, segments: &[ProgramHeader64<LE>]) -> Result<Vec<(i64, u64)>, Damage> {
    let of_lines = |segment: &&ProgramHeader64<LE>| segment.p_type.get(LE) == elf::PT_DYNAMIC;
    let Some(segment) = segments.iter().find(of_lines) else { return Ok(Vec::new()) };
    let len = segment.p_filesz.get(LE);
    if len > MAX_DYNAMIC_BYTES {
        let what = "size of the dynamic section";
        return Err(Damage::Limit { what, found: len, max: MAX_DYNAMIC_BYTES });
    }
    let lines: Vec<Dyn64<LE>> = elf.table("dynamic section", segment.p_offset.get(LE), len / 16 * 16)?;
    let lines = lines.iter().map(|line| (line.d_tag.get(LE), line.d_val.get(LE)));
    Ok(lines.take_while(|(tag, _)| *tag != 0).collect())
}

/// Whether the dynamic section says that the file is a program, as one that needs no loader does (`-static-pie`).
pub(super) fn is_marked_as_program(elf: &Elf<'_>, segments: &[ProgramHeader64<LE>]) -> bool {
    let is_mark = |(tag, value): (i64, u64)| tag == elf::DT_FLAGS_1 && value & u64::from(elf::DF_1_PIE) != 0;
    lines(elf, segments).is_ok_and(|lines| lines.into_iter().any(is_mark))
}

/// Folders of a search path, each once; an empty one is the folder that the process works in. Sets `is_cut` if there are more than
/// [`MAX_FOLDERS`], which are left out.
pub(crate) fn folders(text: &[u8], separators: &[u8], origin: &Path, is_cut: &mut bool) -> Vec<PathBuf> {
    let (mut seen, mut folders) = (HashSet::new(), Vec::new());
    for folder in text.split(|byte| separators.contains(byte)).filter(|_| !text.is_empty()) {
        let names = if folder.is_empty() { vec![b".".to_vec()] } else { expand(folder, origin, is_cut) };
        for name in names.into_iter().filter(|name| seen.insert(name.clone())) {
            if folders.len() == MAX_FOLDERS {
                *is_cut = true;
                return folders;
            }
            folders.push(PathBuf::from(OsString::from_vec(name)));
        }
    }
    folders
}

/// Paths that a path of the loader stands for: `$ORIGIN` is the folder of the file itself, `$LIB` and `$PLATFORM` depend
/// on how the loader was built and on the processor, and all that they may be are named; sets `is_cut` if these are more than
/// [`MAX_EXPANDED`], which are left out.
pub(crate) fn expand(text: &[u8], origin: &Path, is_cut: &mut bool) -> Vec<Vec<u8>> {
    const LIB: [&[u8]; 4] = [b"lib/x86_64-linux-gnu", b"lib/aarch64-linux-gnu", b"lib64", b"lib"];
    const PLATFORM: [&[u8]; 4] = [b"x86_64", b"haswell", b"xeon_phi", b"aarch64"];
    let origin = [origin.as_os_str().as_bytes()];
    let tokens: [(&[u8], &[&[u8]]); 3] = [(b"ORIGIN", &origin), (b"LIB", &LIB), (b"PLATFORM", &PLATFORM)];
    let mut paths = vec![Vec::new()];
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        let token = tokens.iter().find_map(|(name, values)| Some((after_token(rest, name)?, *values)));
        let (after, values) = token.unwrap_or((tail, &[]));
        rest = after;
        if values.is_empty() {
            paths.iter_mut().for_each(|path| path.push(*first));
        } else {
            *is_cut |= paths.len() * values.len() > MAX_EXPANDED;
            let with = |path: Vec<u8>| values.iter().map(move |value| [&path[..], value].concat());
            paths = paths.into_iter().flat_map(with).take(MAX_EXPANDED).collect();
        }
    }
    paths
}

/// What stands behind `$NAME` or `${NAME}`, if `text` begins with that.
fn after_token<'t>(text: &'t [u8], name: &[u8]) -> Option<&'t [u8]> {
    let text = text.strip_prefix(b"$")?;
    if let Some(braced) = text.strip_prefix(b"{") {
        return braced.strip_prefix(name)?.strip_prefix(b"}");
    }
    let rest = text.strip_prefix(name)?;
    rest.first().is_none_or(|next| !next.is_ascii_alphanumeric() && *next != b'_').then_some(rest)
}

/// The folder of a file: what `$ORIGIN` is in it.
pub(crate) fn origin(path: &Path) -> &Path {
    path.parent().filter(|folder| *folder != OsStr::new("")).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    /// All of them, and whether some were left out.
    fn folders_of(text: &[u8], origin: &str) -> (Vec<PathBuf>, bool) {
        let mut is_cut = false;
        (folders(text, b":", Path::new(origin), &mut is_cut), is_cut)
    }

    #[test]
    fn origin_is_the_folder_of_the_file() {
        let (paths, is_cut) = folders_of(b"$ORIGIN/../lib:${ORIGIN}::/opt/lib", "/app/bin");
        assert_eq!(paths, ["/app/bin/../lib", "/app/bin", ".", "/opt/lib"].map(PathBuf::from));
        assert!(!is_cut);
        assert_eq!(folders_of(b"", "/app"), (Vec::new(), false));
        assert_eq!([origin(Path::new("/a/b")), origin(Path::new("b"))], ["/a", "."].map(Path::new));
    }

    #[test]
    fn what_depends_on_the_machine_is_all_that_it_may_be() {
        let mut is_cut = false;
        let mut expand = |text: &str| {
            let paths = expand(text.as_bytes(), Path::new("/o"), &mut is_cut);
            paths.into_iter().map(|path| String::from_utf8(path).unwrap()).collect::<Vec<_>>()
        };
        let lib = expand("/opt/$LIB/x");
        assert!(
            lib.contains(&"/opt/lib/x86_64-linux-gnu/x".to_owned())
                && lib.contains(&"/opt/lib64/x".to_owned())
        );
        assert!(expand("${PLATFORM}").contains(&"x86_64".to_owned()));
        assert!(expand("$ORIGIN/$LIB/$PLATFORM").contains(&"/o/lib64/haswell".to_owned()));
        assert_eq!(expand("$LIBRARY/$X/${LIB"), ["$LIBRARY/$X/${LIB"]);
        assert_eq!(expand("$LIB$LIB$LIB").len(), MAX_EXPANDED);
        assert!(!is_cut);
    }

    #[test]
    fn what_is_left_out_is_said() {
        let many = |count: usize| (0..count).map(|n| format!("/{n}:")).collect::<String>();
        let cases = [(many(MAX_FOLDERS), false), (many(MAX_FOLDERS + 1), true)];
        for (text, is_cut) in cases {
            let text = text.trim_end_matches(':').as_bytes();
            let (folders, found) = folders_of(text, "/");
            assert_eq!((folders.len(), found), (MAX_FOLDERS, is_cut));
        }
        let mut is_cut = false;
        assert_eq!(expand(&b"$LIB".repeat(4), Path::new("/"), &mut is_cut).len(), MAX_EXPANDED);
        assert!(is_cut);
    }

    /// A program with these lines in its dynamic section, and with the strings that they lead to.
    fn program(lines: &[(i64, u64)], strings: &[u8]) -> Vec<u8> {
        const LINES_AT: u64 = 64 + 2 * 56;
        let len = 16 * (lines.len() as u64 + 1);
        let strings_at = LINES_AT + len;
        let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        let shorts = |values: &[u16]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>();
        let longs = |values: &[u64]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>();
        bytes.extend(shorts(&[elf::ET_DYN, elf::EM_X86_64, 1, 0]));
        bytes.extend(longs(&[0, 64, 0]));
        bytes.extend(shorts(&[0, 0, 64, 56, 2, 64, 0, 0]));
        let size = strings_at + strings.len() as u64;
        for (kind, at, size) in [(elf::PT_LOAD, 0, size), (elf::PT_DYNAMIC, LINES_AT, len)] {
            bytes.extend(kind.to_le_bytes());
            bytes.extend(elf::PF_R.to_le_bytes());
            bytes.extend(longs(&[at, at, at, size, size, 8]));
        }
        for (tag, value) in lines.iter().copied().chain([(elf::DT_STRTAB, strings_at)]) {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend(strings);
        bytes
    }

    #[test]
    fn a_search_path_or_a_section_that_is_too_long_is_said() {
        use crate::find::elf::Bytes;
        let read = |lines: &[(i64, u64)], strings: &[u8]| {
            read(&Bytes(&program(lines, strings)), Path::new("/")).unwrap()
        };
        let path = |len: usize| [&b"/a:"[..], &b"/".repeat(len - 3), b"\0/b"].concat();
        let one = [(elf::DT_RUNPATH, 0), (elf::DT_NEEDED, 1)];
        let whole = read(&one, &path(MAX_PATH_BYTES - 1));
        assert_eq!((whole.runpath.len(), whole.needed.len(), whole.is_cut), (2, 1, false));
        assert!(read(&one, &path(MAX_PATH_BYTES)).is_cut);
        let many = vec![(elf::DT_NEEDED, 1); 4096];
        assert!(!read(&many[..4095], b"a\0").is_cut);
        assert!(read(&many, b"a\0").is_cut);
    }

    #[test]
    fn libraries_that_watch_the_loader_are_needed_too() {
        use crate::find::elf::Bytes;
        let lines = [(elf::DT_NEEDED, 0), (elf::DT_AUDIT, 5), (elf::DT_DEPAUDIT, 25)];
        let strings = b"a:so\0$ORIGIN/b.so::/c.so\0d.so\0";
        let found = read(&Bytes(&program(&lines, strings)), Path::new("/o")).unwrap();
        assert_eq!(found.needed, ["a:so", "/o/b.so", "/c.so", "d.so"].map(OsString::from));
    }

    #[test]
    fn this_test_program_needs_the_c_library() {
        let read = |path: &str| read(&File::open(path).unwrap(), Path::new("/"));
        let dynamic = read("/proc/self/exe").unwrap();
        assert!(dynamic.needed.iter().any(|name| name.to_string_lossy().starts_with("libc.")), "{dynamic:?}");
        assert!(!dynamic.is_loader);
        assert_eq!(read("/etc/passwd"), None);
    }

    #[test]
    fn the_loader_of_this_machine_is_one_and_its_c_library_is_none() {
        let (mappings, _) = crate::find::mapping::read(Path::new("/proc/self")).unwrap();
        let is_loader = |name: &str| {
            let mapping =
                mappings.iter().find(|mapping| mapping.path.to_string_lossy().contains(name)).unwrap();
            read(&File::open(&mapping.path).unwrap(), Path::new("/")).unwrap().is_loader
        };
        assert!(is_loader("/ld-"));
        assert!(!is_loader("/libc."));
    }
}
