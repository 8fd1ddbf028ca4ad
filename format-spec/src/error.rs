//! What can go wrong with a trace: errors end a read or a write, damage is a value that a reader passes on.

use std::io;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a trace cannot be read or written at all; one variant for each reaction a caller can have.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input does not begin as a trace does.
    #[error("{0}")]
    NotATrace(NotATrace),
    /// The trace was written in another version of the format.
    #[error(
        "format version {found} is {} than this tracer reads ({min} to {max}){}",
        if .found > .max { "newer" } else { "older" },
        if .found > .max { "; upgrade tracer" } else { "" }
    )]
    Version {
        /// Version in the file header.
        found: u16,
        /// Oldest version read.
        min: u16,
        /// Newest version read.
        max: u16,
    },
    /// A block of a kind that this reader does not know and must not skip.
    #[error("block at byte {offset}: kind {kind} is required but unknown; upgrade tracer")]
    UnknownRequired {
        /// Position of the block.
        offset: u64,
        /// Its kind.
        kind: u8,
    },
    /// A value that the format cannot hold.
    #[error("{what}: {len} is over the limit of {max}")]
    TooLarge {
        /// Name of the value.
        what: &'static str,
        /// Its size.
        len: u64,
        /// The limit.
        max: u64,
    },
    /// An event whose thread or site was not defined, or with a wrong number of values.
    #[error("event of site {site} on thread {thread}: not defined, or the wrong number of arguments")]
    Undefined {
        /// Its site.
        site: u32,
        /// Its thread.
        thread: u32,
    },
    /// A site without a name of its probe, a stage without a name, or something skipped without a reason.
    #[error("a site's probe or a stage has no name, or what was skipped no reason")]
    Unnamed,
    /// The writer failed before and refuses to go on: what it wrote until then is readable.
    #[error("the trace writer failed before: {0}")]
    Poisoned(String),
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Why the input is no trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotATrace {
    /// No byte at all.
    #[error("file is empty, a trace needs at least 32 bytes")]
    Empty,
    /// Fewer bytes than a file header, and not the beginning of one.
    #[error("file is {len} bytes long, a trace needs at least 32")]
    Short {
        /// Length of the input.
        len: u64,
    },
    /// The first bytes are not the magic.
    #[error(
        "not a trace: it begins with {found:02x?}, a trace begins with {expected:02x?}{}",
        packed_by(found).map_or_else(String::new, |by| format!("; it is compressed by {by}: unpack it first"))
    )]
    Magic {
        /// First eight bytes.
        found: [u8; 8],
        /// The magic.
        expected: [u8; 8],
    },
    /// The magic is right but the header's checksum is not.
    #[error("file header is damaged: checksum {computed:#010x}, header says {stored:#010x}")]
    Checksum {
        /// Checksum of the bytes found.
        computed: u32,
        /// Checksum stored.
        stored: u32,
    },
}

/// The program that a file was compressed by, as its first bytes tell.
#[must_use]
pub fn packed_by(begin: &[u8]) -> Option<&'static str> {
    const MAGICS: [(&[u8], &str); 5] = [
        (b"\x1f\x8b", "gzip"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"\xfd7zXZ\0", "xz"),
        (b"BZh", "bzip2"),
        (b"PK\x03\x04", "zip"),
    ];
    MAGICS.iter().find(|(magic, _)| begin.starts_with(magic)).map(|(_, by)| *by)
}

/// What is wrong with a range of bytes inside a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// No block header where one is due.
    #[error("no block begins here")]
    Magic,
    /// The block header's checksum does not fit.
    #[error("header checksum {computed:#010x}, header says {stored:#010x}")]
    HeaderChecksum {
        /// Checksum of the bytes found.
        computed: u32,
        /// Checksum stored.
        stored: u32,
    },
    /// The stored bytes' checksum does not fit.
    #[error("checksum {computed:#010x}, header says {stored:#010x}")]
    Checksum {
        /// Checksum of the bytes found.
        computed: u32,
        /// Checksum stored.
        stored: u32,
    },
    /// The file ends inside the block.
    #[error("the file ends inside it: {found} of {expected} bytes")]
    Truncated {
        /// Bytes there.
        found: u64,
        /// Bytes of the whole block.
        expected: u64,
    },
    /// A length or count above its limit.
    #[error("{what} {len} is over the limit of {max}")]
    Limit {
        /// Name of the value.
        what: &'static str,
        /// Value found.
        len: u64,
        /// The limit.
        max: u64,
    },
    /// The block's content contradicts itself.
    #[error("{0}")]
    Content(&'static str),
    /// A block that stands where its number says it cannot.
    #[error("block number {found} is out of place, {expected} is due")]
    OutOfPlace {
        /// Its sequence number.
        found: u32,
        /// Lowest number that could stand here.
        expected: u32,
    },
    /// Blocks are missing before this one.
    #[error("{count} blocks are missing before it")]
    Missing {
        /// How many.
        count: u32,
    },
}
