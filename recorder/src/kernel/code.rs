//! The code of the eBPF programs on its way into the kernel: maps put in, loaded, and refusals explained.

use std::collections::HashSet;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};

use aya_obj::Object;
use aya_obj::generated::bpf_insn;

use crate::error::{Error, Result};
use crate::host;
use crate::kernel::bpf::{self, AttachType, Map, ProgramType, Waits};

/// Puts the maps and the functions that are called in the code of all programs.
pub(crate) fn relocate(object: &mut Object, by_name: &[(&str, &Map)]) -> Result<()> {
    let text: HashSet<usize> = object.functions.keys().map(|(section, _)| *section).collect();
    let declared = std::mem::take(&mut object.maps);
    let mut maps = Vec::new();
    for (name, map) in &declared {
        let created = by_name.iter().find(|(known, _)| known == name);
        let (_, created) = created.ok_or_else(|| Error::Object(format!("unexpected map {name}")))?;
        maps.push((name.as_str(), created.as_fd().as_raw_fd(), map));
    }
    object.relocate_maps(maps.into_iter(), &text).map_err(|error| Error::Object(error.to_string()))?;
    object.relocate_calls(&text).map_err(|error| Error::Object(error.to_string()))
}

/// The instructions of program `name`.
fn instructions(object: &Object, name: &str) -> Result<Vec<bpf_insn>> {
    let program = object.programs.get(name).map(aya_obj::Program::function_key);
    let function = program.and_then(|key| object.functions.get(&key));
    let function = function.ok_or_else(|| Error::Object(format!("no program {name}")))?;
    Ok(function.instructions.clone())
}

/// A program that is ready to be loaded.
#[derive(Debug)]
pub(crate) struct Code {
    pub(crate) name: &'static str,
    pub(crate) kind: ProgramType,
    pub(crate) instructions: Vec<bpf_insn>,
}

impl Code {
    /// Takes program `name` out of a relocated object.
    ///
    /// # Errors
    /// [`Error::Object`] if it has no such program.
    pub(crate) fn of(object: &Object, name: &'static str, kind: ProgramType) -> Result<Self> {
        Ok(Self { name, kind, instructions: instructions(object, name)? })
    }

    /// Loads it, to be attached in this way.
    ///
    /// # Errors
    /// As [`Program::load`](crate::kernel::program::Program::load).
    pub(crate) fn load(&self, attach: AttachType) -> Result<OwnedFd> {
        match bpf::load_program(self.kind, attach, Waits::Never, &self.instructions, &mut []) {
            Ok(program) => Ok(program),
            // What an old kernel says to an attach type it does not know.
            Err(source)
                if attach == AttachType::UprobeMulti && source.raw_os_error() == Some(libc::EINVAL) =>
            {
                Err(Error::Unsupported {
                    doing: "attach many probes at once",
                    needs: "Linux 6.6 or newer",
                    source,
                })
            }
            Err(source) if matches!(source.raw_os_error(), Some(libc::EPERM | libc::ENOSYS)) => {
                Err(refused("load BPF programs", source))
            }
            Err(source) => Err(self.verifier_error(attach, Waits::Never, source)),
        }
    }

    /// Loads it as one that may wait for memory, to be attached in this way.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the kernel has no such programs, else as [`load`](Self::load).
    pub(crate) fn load_waiting(&self, attach: AttachType) -> Result<OwnedFd> {
        let loaded = bpf::load_program(self.kind, attach, Waits::ForMemory, &self.instructions, &mut []);
        loaded.map_err(|source| {
            if host::kernel_version() < WAITS_SINCE {
                Error::Unsupported {
                    doing: "wait for memory in a probe",
                    needs: "Linux 6.0 or newer",
                    source,
                }
            } else {
                self.verifier_error(attach, Waits::ForMemory, source)
            }
        })
    }

    /// Loads again with a log to find out why it failed.
    fn verifier_error(&self, attach: AttachType, waits: Waits, source: io::Error) -> Error {
        let mut log = vec![0; 1 << 20];
        if let Err(again) = bpf::load_program(self.kind, attach, waits, &self.instructions, &mut log)
            && (again.raw_os_error() == Some(libc::EPERM) || is_too_old())
        {
            return refused("load BPF programs", again);
        }
        let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
        let text = String::from_utf8_lossy(&log[..end]);
        // The last line counts instructions; the one before says what is wrong.
        let reason = text.lines().rev().find(|line| !line.starts_with("processed ")).unwrap_or_default();
        Error::Verifier {
            program: self.name,
            reason: reason.chars().take(MAX_REASON_CHARS).collect(),
            log: keep(self.name, text.as_bytes()).unwrap_or_else(|error| format!("not written: {error}")),
            source,
        }
    }
}

/// What a kernel must be.
const NEEDED: &str = "Linux 5.15 or newer with CONFIG_BPF_SYSCALL";

/// The first kernel with programs at uprobes that wait for memory.
const WAITS_SINCE: (u32, u32) = (6, 0);

/// Most characters of what the verifier says that go in an error.
const MAX_REASON_CHARS: usize = 200;

/// Writes the log of the verifier to a file of its own, and gives its path.
fn keep(program: &str, log: &[u8]) -> io::Result<String> {
    let path = std::env::temp_dir().join(format!("tracer-verifier-{}-{program}.log", std::process::id()));
    // New: nothing that lies there already is followed or overwritten.
    match std::fs::File::create_new(&path) {
        Ok(mut file) => file.write_all(log)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    Ok(path.display().to_string())
}

/// The error for a refusal by the kernel as such.
pub(crate) fn refused(doing: &'static str, source: io::Error) -> Error {
    match source.raw_os_error() {
        _ if is_too_old() => Error::Unsupported { doing, needs: NEEDED, source },
        Some(libc::EPERM | libc::EACCES) if is_locked_down() => Error::Lockdown { doing, source },
        Some(libc::EPERM | libc::EACCES) => Error::Permission { doing, source },
        Some(libc::ENOSYS | libc::EINVAL) => Error::Unsupported { doing, needs: NEEDED, source },
        _ => Error::System { doing, source },
    }
}

/// Whether nothing else needs to be looked for: below 5.11 memory of maps counts as locked, below 5.15 sites have no
/// cookies, except in the 5.14 of distributions that added them.
fn is_too_old() -> bool {
    ((1, 0)..(5, 14)).contains(&host::kernel_version())
}

fn is_locked_down() -> bool {
    std::fs::read_to_string("/sys/kernel/security/lockdown")
        .is_ok_and(|text| text.contains("[confidentiality]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_is_missing() {
        let error = refused("load BPF programs", io::Error::from_raw_os_error(libc::EPERM));
        assert_eq!(
            error.to_string(),
            "cannot load BPF programs: permission denied (needs root, or CAP_BPF and CAP_PERFMON)"
        );
    }
}
