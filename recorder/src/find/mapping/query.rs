//! What of its files a process can run, asked of the kernel (Linux 6.11 and newer): it tells of nothing else, and of that in numbers.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;

use crate::find::mapping::{MappedPart, Mapping, Mappings, each_once};
use crate::host::helper::confine::PROCMAP_QUERY;
use crate::host::process;

/// Mappings that are asked for one by one. Each question waits until the process changes none of its mappings; of a process that has
/// very many and changes them all the time, the text is sooner read.
const MAX_MAPPINGS: usize = 1 << 8;
/// Bytes of a path, with the NUL behind it.
const MAX_PATH_BYTES: usize = 4096;

/// Of `enum procmap_query_flags`: what a mapping has, the next one that does, and of a file.
const WRITABLE: u64 = 0x02;
const EXECUTABLE: u64 = 0x04;
const SHARED: u64 = 0x08;
const OR_NEXT: u64 = 0x10;
const OF_FILE: u64 = 0x20;

/// `struct procmap_query` of the kernel's `include/uapi/linux/fs.h`.
#[repr(C)]
#[derive(Default)]
struct ProcmapQuery {
    size: u64,
    query_flags: u64,
    query_addr: u64,
    vma_start: u64,
    vma_end: u64,
    vma_flags: u64,
    vma_page_size: u64,
    vma_offset: u64,
    inode: u64,
    dev_major: u32,
    dev_minor: u32,
    vma_name_size: u32,
    build_id_size: u32,
    vma_name_addr: u64,
    build_id_addr: u64,
}
const _: () = assert!(size_of::<ProcmapQuery>() == 104);

/// Files of which a process maps instructions, and that there are no more. `None` where the kernel does not say: it is too old, or
/// a path is too long; or where there are very many.
pub(super) fn code(maps: &File) -> Option<Mappings> {
    let mut path = [0; MAX_PATH_BYTES];
    let (mut from, mut mappings) = (0, Vec::new());
    for _ in 0..MAX_MAPPINGS {
        match next(maps, from, &mut path) {
            Ok(Some((mapping, end))) => {
                mappings.extend(mapping);
                from = end;
            }
            Ok(None) => return Some((each_once(mappings.into_iter()), false)),
            Err(_) => return None,
        }
    }
    None
}

/// The first mapping at an address or above, if it has a file, and where it ends; `None` if there is none.
fn next(
    maps: &File,
    from: u64,
    path: &mut [u8; MAX_PATH_BYTES],
) -> io::Result<Option<(Option<Mapping>, u64)>> {
    let mut query = ProcmapQuery {
        size: size_of::<ProcmapQuery>() as u64,
        query_flags: EXECUTABLE | OF_FILE | OR_NEXT,
        query_addr: from,
        vma_name_size: u32::try_from(MAX_PATH_BYTES).unwrap_or_default(),
        vma_name_addr: path.as_mut_ptr() as u64,
        ..ProcmapQuery::default()
    };
    // SAFETY: the kernel reads and writes `query`, which is as large as it says, and writes `vma_name_size` bytes to `path` at most,
    // which lives and has as many.
    let result = unsafe { libc::ioctl(maps.as_raw_fd(), PROCMAP_QUERY, &raw mut query) };
    if result != 0 {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::NotFound { Ok(None) } else { Err(error) };
    }
    let ProcmapQuery { vma_start: start, vma_end: end, vma_flags: flags, inode, .. } = query;
    let len = end.checked_sub(start).filter(|_| end > from).ok_or(io::ErrorKind::InvalidData)?;
    // Its last byte is a NUL.
    let path = path.get(..query.vma_name_size as usize).and_then(<[u8]>::split_last);
    let path = path.map(|(_, path)| OsString::from_vec(path.to_vec())).unwrap_or_default();
    let mapping = (inode != 0).then(|| Mapping {
        range: format!("{start:x}-{end:x}"),
        file: (rustix::fs::makedev(query.dev_major, query.dev_minor), inode),
        path: process::undeleted(path.as_ref()),
        parts: vec![MappedPart {
            offset: query.vma_offset,
            len,
            is_executable: flags & EXECUTABLE != 0,
            is_writable: flags & WRITABLE != 0,
            is_shared: flags & SHARED != 0,
        }],
    });
    Ok(Some((mapping, end)))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, Stdio};

    use super::*;
    use crate::find::mapping::{open, text};

    /// What both ways tell of a process, and whether it mapped the same before and after that.
    fn both(folder: &Path) -> Option<([Mappings; 2], bool)> {
        let told = || text(open(folder).ok()?, Mapping::is_executable).ok();
        let (before, asked, after) = (told()?, code(&open(folder).ok()?)?, told()?);
        let is_same = before == after;
        Some(([asked, after], is_same))
    }

    /// Compares them, and gives what they tell.
    fn compared(folder: &Path) -> Vec<Mapping> {
        loop {
            if let ([asked, told], true) = both(folder).expect("it runs") {
                assert_eq!(asked, told, "{}", folder.display());
                return asked.0;
            }
        }
    }

    fn is_new_enough() -> bool {
        let is_there = code(&open(Path::new("/proc/self")).unwrap()).is_some();
        let version = aya::util::KernelVersion::current().unwrap();
        assert!(is_there || version < aya::util::KernelVersion::new(6, 11, 0), "{version:?}");
        is_there
    }

    struct Running(Child);

    impl Drop for Running {
        fn drop(&mut self) {
            self.0.kill().and_then(|()| self.0.wait()).expect("it runs");
        }
    }

    /// Starts a command that ends with its standard input, and waits until it runs a program of this name.
    fn running(command: &mut Command, name: &str) -> (Running, PathBuf) {
        let child = Running(command.stdin(Stdio::piped()).spawn().unwrap());
        let folder = process::folder(child.0.id());
        let runs = || {
            let executable = fs::read_link(folder.join("exe")).ok()?;
            let vector = fs::read(folder.join("auxv")).ok()?;
            Some(executable.to_string_lossy().contains(name) && vector.iter().any(|byte| *byte != 0))
        };
        while runs() != Some(true) {
            std::thread::yield_now();
        }
        (child, folder)
    }

    #[test]
    fn the_kernel_tells_the_same_in_numbers_as_in_text() {
        if !is_new_enough() {
            return;
        }
        let own = compared(Path::new("/proc/self"));
        let executable = std::env::current_exe().unwrap();
        assert!(own.iter().any(|mapping| mapping.path == executable && mapping.is_executable()), "{own:?}");
        // Whatever runs here; some of them end meanwhile, or may not be looked at.
        let folders = process::pids().unwrap().into_iter().map(process::folder);
        let all: Vec<_> =
            folders.filter_map(|folder| both(&folder)).filter(|(_, is_same)| *is_same).collect();
        all.iter().for_each(|([asked, told], _)| assert_eq!(asked, told));
        assert!(all.iter().any(|([(mappings, _), _], _)| mappings.len() > 1), "{all:?}");
    }

    #[test]
    fn odd_paths_files_that_are_gone_and_files_in_memory_are_told_the_same() {
        if !is_new_enough() {
            return;
        }
        let folder = std::env::temp_dir().join(format!("tracer-query-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for name in ["two words ", "two\nlines", " (deleted)", "gone", "gone (deleted)"] {
            let path = folder.join(name);
            fs::copy("/bin/cat", &path).unwrap();
            let (_child, of) = running(&mut Command::new(&path), name);
            if name.starts_with("gone") {
                fs::remove_file(&path).unwrap();
            }
            let mappings = compared(&of);
            let shown = process::undeleted(&path);
            let path = if name == "gone (deleted)" { &path } else { &shown };
            assert!(mappings.iter().any(|mapping| mapping.path == *path), "{path:?}: {mappings:?}");
        }
        fs::remove_dir_all(&folder).unwrap();
        let memory = rustix::fs::memfd_create(c"of memory", rustix::fs::MemfdFlags::empty()).unwrap();
        File::from(memory.try_clone().unwrap()).write_all(&fs::read("/bin/cat").unwrap()).unwrap();
        let at = format!("/proc/{}/fd/{}", std::process::id(), memory.as_raw_fd());
        let (_child, of) = running(&mut Command::new(at), "of memory");
        let mappings = compared(&of);
        assert!(mappings.iter().any(|mapping| mapping.path == Path::new("/memfd:of memory")), "{mappings:?}");
    }

    #[test]
    #[ignore = "needs root"]
    fn files_of_an_overlay_are_told_the_same() {
        if !is_new_enough() {
            return;
        }
        let script = "mount -t tmpfs none /mnt && cd /mnt && mkdir below above work place && cp /bin/cat below/lower && \\
             mount -t overlay -o lowerdir=below,upperdir=above,workdir=work none place && cp /bin/cat place/upper && \\
             exec place/$0";
        for name in ["lower", "upper"] {
            let mut command = Command::new("unshare");
            let (_child, of) =
                running(command.args(["-m", "sh", "-c", script, name]), &format!("place/{name}"));
            let mappings = compared(&of);
            assert!(mappings.iter().any(|mapping| mapping.path.ends_with(name)), "{mappings:?}");
        }
    }
}
