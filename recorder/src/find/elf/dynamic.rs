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
/// Bytes of one name or search path.
const MAX_STRING_BYTES: usize = 4096;
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
    /// Names or paths of libraries, in order.
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
    parse(&Elf::read_header(file).ok()??, origin).ok()
}

fn parse(elf: &Elf<'_>, origin: &Path) -> Result<Dynamic, Damage> {
    let mut dynamic = Dynamic {
        machine: elf.machine()?,
        needed: Vec::new(),
        rpath: Vec::new(),
        runpath: Vec::new(),
        is_loader: false,
        is_cut: false,
    };
    let segments = elf.segments()?;
    let of_type = |kind| segments.iter().find(|segment| segment.p_type.get(LE) == kind);
    let lines = lines(elf, &segments)?;
    let lines = || lines.iter().copied();
    let has_name = lines().any(|(tag, _)| tag == elf::DT_SONAME);
    dynamic.is_loader = has_name && elf.entry() != 0 && of_type(elf::PT_INTERP).is_none();
    let strings = lines().find(|(tag, _)| *tag == elf::DT_STRTAB).map(|(_, address)| address);
    let Some(strings) = strings.and_then(|address| file_offset(&segments, address, Access::Any)) else {
        return Ok(dynamic);
    };
    let mut len = 0;
    for (tag, offset) in lines() {
        if !matches!(
            tag,
            elf::DT_NEEDED | elf::DT_RPATH | elf::DT_RUNPATH | elf::DT_AUXILIARY | elf::DT_FILTER
        ) {
            continue;
        }
        let text = elf.bytes_up_to(strings.saturating_add(offset), MAX_STRING_BYTES)?;
        let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
        match tag {
            elf::DT_RPATH => dynamic.rpath = folders(text, b":", origin),
            elf::DT_RUNPATH => dynamic.runpath = folders(text, b":", origin),
            _ => dynamic.needed.extend(expand(text, origin).into_iter().map(OsString::from_vec)),
        }
        // `$LIB` and the like stand for several.
        len += if text.contains(&b'$') { 8 * text.len() } else { text.len() };
        if len > MAX_STRINGS_BYTES {
            dynamic.is_cut = true;
            break;
        }
    }
    Ok(dynamic)
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

/// Folders of a search path, each once and [`MAX_FOLDERS`] at most; an empty one is the folder that the process works in.
pub(crate) fn folders(text: &[u8], separators: &[u8], origin: &Path) -> Vec<PathBuf> {
    if text.is_empty() {
        return Vec::new();
    }
    let expand = |folder: &[u8]| if folder.is_empty() { vec![b".".to_vec()] } else { expand(folder, origin) };
    let folders = text.split(|byte| separators.contains(byte)).flat_map(expand);
    let mut seen = HashSet::new();
    let folders = folders.filter(|folder| seen.insert(folder.clone())).take(MAX_FOLDERS);
    folders.map(|folder| PathBuf::from(OsString::from_vec(folder))).collect()
}

/// Paths that a path of the loader stands for: `$ORIGIN` is the folder of the file itself, `$LIB` and `$PLATFORM` depend
/// on how the loader was built and on the processor, and all that they may be are named.
pub(crate) fn expand(text: &[u8], origin: &Path) -> Vec<Vec<u8>> {
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

    #[test]
    fn origin_is_the_folder_of_the_file() {
        let paths = folders(b"$ORIGIN/../lib:${ORIGIN}::/opt/lib", b":", Path::new("/app/bin"));
        assert_eq!(paths, ["/app/bin/../lib", "/app/bin", ".", "/opt/lib"].map(PathBuf::from));
        assert_eq!(folders(b"", b":", Path::new("/app")), Vec::<PathBuf>::new());
        assert_eq!([origin(Path::new("/a/b")), origin(Path::new("b"))], ["/a", "."].map(Path::new));
    }

    #[test]
    fn what_depends_on_the_machine_is_all_that_it_may_be() {
        let expand = |text: &str| {
            let paths = expand(text.as_bytes(), Path::new("/o"));
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
        assert_eq!(expand(&"$LIB".repeat(100)).len(), MAX_EXPANDED);
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
        let mappings = crate::find::mapping::read(Path::new("/proc/self")).unwrap();
        let is_loader = |name: &str| {
            let mapping =
                mappings.iter().find(|mapping| mapping.path.to_string_lossy().contains(name)).unwrap();
            read(&File::open(&mapping.path).unwrap(), Path::new("/")).unwrap().is_loader
        };
        assert!(is_loader("/ld-"));
        assert!(!is_loader("/libc."));
    }
}
