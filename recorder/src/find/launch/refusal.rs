//! Why the kernel does not run a program that the user named, in words.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::{Path, PathBuf};

use object::elf::{ELFMAG, PT_INTERP};
use rustix::fs::{Access, AtFlags, CWD, StatVfsMountFlags, accessat, statvfs};
use tracer_format::log::escape;

use super::{MAX_SCRIPT_LINE_BYTES, SHELL, candidates};
use crate::find::elf::Elf;
use crate::find::root;

/// Scripts whose interpreters are scripts, as many as the kernel follows.
const MAX_INTERPRETERS: usize = 5;
/// Bytes of an ELF header in which class, byte order and machine are.
const IDENTITY_BYTES: usize = 20;

/// Path of the program that the user named, as a shell looks for it.
///
/// # Errors
/// Why it cannot be run, in words.
pub(crate) fn find_command(name: &OsStr) -> Result<PathBuf, String> {
    let mut refused = None;
    for path in candidates(name) {
        match of_file(&path).or_else(|| of_interpreter(&path, MAX_INTERPRETERS)) {
            None => return Ok(path),
            Some(_) if path.as_os_str() != name && fs::symlink_metadata(&path).is_err() => {}
            Some(reason) if path.as_os_str() == name => return Err(reason),
            // A later folder may have one that can be run.
            Some(reason) => refused = refused.or(Some(format!("{}: {reason}", shown(&path)))),
        }
    }
    Err(refused.unwrap_or_else(|| "not found in PATH, expected a program that can be run".to_owned()))
}

/// Why the system did not run the program that the user named, as far as it can be seen.
pub(crate) fn explained(name: &OsStr, source: &io::Error) -> String {
    let seen = find_command(name).err();
    seen.unwrap_or_else(|| match source.raw_os_error() {
        Some(libc::ENOEXEC) => "in no form that this kernel runs".to_owned(),
        Some(libc::ETXTBSY) => "it is open for writing".to_owned(),
        Some(libc::EACCES) => "permission denied, for the user that it is to run as".to_owned(),
        _ => source.to_string(),
    })
}

/// What keeps a file from being run, but for what is in it.
fn of_file(path: &Path) -> Option<String> {
    let facts = match fs::metadata(path) {
        Ok(facts) => facts,
        Err(error) => {
            let is_link = fs::symlink_metadata(path).is_ok_and(|facts| facts.is_symlink());
            return Some(match error.raw_os_error() {
                Some(libc::ENOENT) if is_link => "a link to what is not there".to_owned(),
                Some(libc::ENOENT) => "no such file".to_owned(),
                Some(libc::ENOTDIR) => "a part of the path is no folder".to_owned(),
                Some(libc::EACCES) => "permission denied for a folder of the path".to_owned(),
                _ => error.to_string(),
            });
        }
    };
    let kind = facts.file_type();
    if kind.is_dir() {
        return Some("a folder, expected a program".to_owned());
    }
    if !kind.is_file() {
        let what = if kind.is_fifo() { "a pipe" } else { "a device or socket" };
        return Some(format!("{what}, expected a program"));
    }
    if accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS).is_ok() {
        return None;
    }
    let is_forbidden = statvfs(path).is_ok_and(|facts| facts.f_flag.contains(StatVfsMountFlags::NOEXEC));
    Some(if is_forbidden {
        "on a file system that is mounted without leave to run programs (noexec)".to_owned()
    } else {
        "permission denied: it is not executable (see chmod +x)".to_owned()
    })
}

/// What keeps the program that runs this one from being run: the interpreter of a script, the loader of a program.
fn of_interpreter(path: &Path, depth: usize) -> Option<String> {
    let file = root::open(path).ok()?;
    let mut start = [0; MAX_SCRIPT_LINE_BYTES];
    let len = file.read_at(&mut start, 0).ok()?;
    let start = &start[..len];
    if start.starts_with(&ELFMAG) {
        if let Some(machine) = foreign_machine(start) {
            return Some(machine);
        }
        let loader = loader(&file)?;
        return of_file(&loader).map(|reason| format!("its loader {}: {reason}", shown(&loader)));
    }
    let interpreter = interpreter(start)?;
    let Some(depth) = depth.checked_sub(1) else {
        return Some("too many scripts that are each other's interpreters".to_owned());
    };
    let reason = of_file(&interpreter).or_else(|| of_interpreter(&interpreter, depth))?;
    Some(format!("its interpreter {}: {reason}", shown(&interpreter)))
}

/// The interpreter of a script, as the kernel reads its first line. Without one, [`SHELL`] runs it.
fn interpreter(start: &[u8]) -> Option<PathBuf> {
    let line = start.strip_prefix(b"#!")?;
    let line = line.split(|byte| *byte == b'\n').next()?;
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let name = line.split(is_blank).find(|word| !word.is_empty());
    Some(PathBuf::from(name.map_or_else(|| OsString::from(SHELL), |name| OsStr::from_bytes(name).to_owned())))
}

/// The loader that a program names.
fn loader(file: &dyn FileExt) -> Option<PathBuf> {
    let elf = Elf::read_header(file).ok()??;
    let segments = elf.segments().ok()?;
    let segment = segments.iter().find(|segment| segment.p_type.get(object::LittleEndian) == PT_INTERP)?;
    let mut name = vec![0; usize::try_from(segment.p_filesz.get(object::LittleEndian)).ok()?.min(4096)];
    file.read_exact_at(&mut name, segment.p_offset.get(object::LittleEndian)).ok()?;
    let name = name.split(|byte| *byte == 0).next()?;
    Some(PathBuf::from(OsStr::from_bytes(name)))
}

/// Says for which machine a program is, if this one cannot run it.
fn foreign_machine(start: &[u8]) -> Option<String> {
    let start: &[u8; IDENTITY_BYTES] = start.first_chunk()?;
    let is_big = start[5] == 2;
    let machine = [start[18], start[19]];
    let machine = if is_big { u16::from_be_bytes(machine) } else { u16::from_le_bytes(machine) };
    let own = std::env::consts::ARCH;
    let can_run: &[u16] = match own {
        "x86_64" => &[object::elf::EM_X86_64, object::elf::EM_386],
        "aarch64" => &[object::elf::EM_AARCH64, object::elf::EM_ARM],
        _ => return None,
    };
    if can_run.contains(&machine) && !is_big || has_emulators() {
        return None;
    }
    let name = match machine {
        object::elf::EM_X86_64 => "x86_64",
        object::elf::EM_386 => "i386",
        object::elf::EM_AARCH64 => "aarch64",
        object::elf::EM_ARM => "arm",
        object::elf::EM_RISCV => "riscv",
        object::elf::EM_PPC64 => "powerpc64",
        object::elf::EM_S390 => "s390x",
        object::elf::EM_MIPS => "mips",
        _ => "another machine",
    };
    Some(format!("a program for {name} (ELF machine {machine}), which {own} does not run"))
}

/// Whether programs are registered that run those of other machines.
fn has_emulators() -> bool {
    let registered = fs::read_dir("/proc/sys/fs/binfmt_misc").into_iter().flatten().flatten();
    registered.map(|entry| entry.file_name()).any(|name| name != "register" && name != "status")
}

fn shown(path: &Path) -> String {
    escape(&path.to_string_lossy()).into_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn what_cannot_be_run_is_said_with_the_reason() {
        let folder = std::env::temp_dir().join(format!("tracer-refusal-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, bytes: &[u8], mode| {
            let path = folder.join(name);
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        symlink("nowhere", folder.join("dangling")).unwrap();
        let plain = write("plain", b"#!/bin/sh\n", 0o644);
        let text = write("text", b"true\n", 0o755);
        let empty = write("empty", b"#!\n", 0o755);
        write("missing", b"#!/no/such/interpreter -x\n", 0o755);
        write("carriage", b"#! /bin/sh\r\n", 0o755);
        write("folded", format!("#!{}\n", folder.join("missing").display()).as_bytes(), 0o755);
        write("forbidden", format!("#!{}\n", plain.display()).as_bytes(), 0o755);
        write("circle", format!("#!{}\n", folder.join("circle").display()).as_bytes(), 0o755);
        let own = fs::read(std::env::current_exe().unwrap()).unwrap();
        let mut foreign = own[..64].to_vec();
        foreign[18..20].copy_from_slice(&243_u16.to_le_bytes());
        write("foreign", &foreign, 0o755);
        let loader = b"/lib64/ld-linux-x86-64.so.2";
        let mut lost = own;
        while let Some(at) = lost.windows(loader.len()).position(|window| window == loader) {
            lost[at + 5] = b'X';
        }
        write("lost", &lost, 0o755);
        let reason = |name: &str| find_command(folder.join(name).as_os_str()).unwrap_err();
        for (name, expected) in [
            ("none", "no such file"),
            ("plain/x", "a part of the path is no folder"),
            (".", "a folder"),
            ("dangling", "a link to what is not there"),
            ("plain", "not executable"),
            ("missing", "its interpreter /no/such/interpreter: no such file"),
            ("carriage", "its interpreter /bin/sh\\r: no such file"),
            ("folded", "missing: its interpreter /no/such/interpreter: no such file"),
            ("forbidden", "plain: permission denied: it is not executable"),
            ("circle", "too many scripts"),
            ("lost", "its loader /lib6X/ld-linux-x86-64.so.2: "),
        ] {
            assert!(reason(name).contains(expected), "{name}: {}", reason(name));
        }
        if !has_emulators() {
            assert!(
                reason("foreign").starts_with("a program for riscv (ELF machine 243)"),
                "{}",
                reason("foreign")
            );
        }
        for path in [text, empty] {
            assert_eq!(find_command(path.as_os_str()), Ok(path));
        }
        assert!(find_command(OsStr::new("/dev/null")).unwrap_err().contains("a device"));
        fs::remove_dir_all(folder).unwrap();
    }
}
