//! What can go wrong while recording: one variant for each reaction a caller can have.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;

use tracer_format::log::escape;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why something the user asked for cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What the user asks for cannot be had here; the text says why and what to do.
    #[error("{0}")]
    Request(String),
    /// A file that the user named cannot be opened or read.
    #[error("cannot read {}", escape(&path.to_string_lossy()))]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file that the user named is no ELF file.
    #[error("{}: not an ELF file, expected a program or a shared library", escape(&.0.to_string_lossy()))]
    NotElf(PathBuf),
    /// An ELF file that the user named cannot be used.
    #[error("{}: {damage}", escape(&path.to_string_lossy()))]
    Binary {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        damage: String,
    },
    /// The command after `--` cannot be run.
    #[error("command {}: {reason}", escape(name))]
    Command {
        /// Its name, as it was given.
        name: String,
        /// Why it cannot be run.
        reason: String,
    },
    /// There is no such user.
    #[error("user {}: not known to this system, expected a name or a number", escape(.0))]
    User(String),
    /// The process may not do this: it needs another user or more capabilities.
    #[error("cannot {doing}: permission denied (needs root, or CAP_BPF and CAP_PERFMON)")]
    Permission {
        /// What was tried, as "load BPF programs".
        doing: &'static str,
        /// What the kernel says.
        source: io::Error,
    },
    /// The kernel is locked down: BPF programs may not read memory, not even for root.
    #[error(
        "cannot {doing}: the kernel is locked down (needs /sys/kernel/security/lockdown to be none or integrity)"
    )]
    Lockdown {
        /// What was tried.
        doing: &'static str,
        /// What the kernel says.
        source: io::Error,
    },
    /// The kernel lacks something.
    #[error("cannot {doing}: this kernel does not support it (needs {needs})")]
    Unsupported {
        /// What was tried.
        doing: &'static str,
        /// What would do, as "Linux 5.15 or newer".
        needs: &'static str,
        /// What the kernel says.
        source: io::Error,
    },
    /// The verifier refuses the program of this build.
    #[error(
        "the kernel's verifier refuses the BPF program \"{program}\" of this build: {reason} (its log: {log}); please \
         report it with that file"
    )]
    Verifier {
        /// Name of the program.
        program: &'static str,
        /// What the verifier says in the end, one line.
        reason: String,
        /// The file that has the whole log, or why there is none.
        log: String,
        /// What the kernel says.
        source: io::Error,
    },
    /// The embedded object is not what this build expects: a bug, never the user's doing.
    #[error("embedded BPF object: {0}")]
    Object(String),
    /// One binary cannot be attached to.
    #[error("cannot attach to {}", escape(&path.to_string_lossy()))]
    Attach {
        /// The binary, as asked for.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// There are more sites than the program was loaded for.
    #[error("{found} sites, over the limit of {max}; ask for fewer probes")]
    Sites {
        /// How many there are.
        found: u64,
        /// How many there may be.
        max: u64,
    },
    /// There is nothing to record.
    #[error("{0}; see tracer list for what there is, or give --wait")]
    NoProbe(String),
    /// Writing the trace failed.
    #[error("cannot write the trace")]
    Trace(#[from] tracer_format::Error),
    /// Another system call fails.
    #[error("cannot {doing}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// What the kernel says.
        source: io::Error,
    },
}

impl Error {
    /// The command of this name cannot be run.
    pub(crate) fn command(name: &OsStr, reason: String) -> Self {
        Self::Command { name: name.to_string_lossy().into_owned(), reason }
    }
}

/// What is wrong with an ELF file; it is reported once and the file is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// 32 bits, or big-endian.
    #[error("a 32-bit or big-endian program, not a 64-bit little-endian one; tracer records only those")]
    Class,
    /// Another processor.
    #[error("ELF file for machine {0}; tracer reads x86-64 (62) and aarch64 (183)")]
    Machine(u16),
    /// An object file or a core dump.
    #[error("neither a program nor a shared library; name the linked file")]
    Unlinked,
    /// The file ends inside something.
    #[error("{what} is cut off: {len} bytes expected at byte {offset}")]
    Truncated {
        /// Name of what is cut off.
        what: &'static str,
        /// Where it begins in the file.
        offset: u64,
        /// Bytes that it should have.
        len: u64,
    },
    /// A length or count above its limit.
    #[error("{what} is {found}, over the limit of {max}")]
    Limit {
        /// Name of the value.
        what: &'static str,
        /// Value found.
        found: u64,
        /// The limit.
        max: u64,
    },
    /// A value that cannot be right.
    #[error("{0}: contradicts the rest of the file")]
    Content(&'static str),
    /// A probe's note cannot be understood.
    #[error("note at byte {offset} of .note.stapsdt: {what}")]
    Note {
        /// Position in the section.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// Reading failed.
    #[error("cannot read it: {0}")]
    Unreadable(io::ErrorKind),
}
