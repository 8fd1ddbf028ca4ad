//! The file header: the first 32 bytes of every trace (SPEC.md "File header").

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::error::{Error, NotATrace, Result};

/// First eight bytes of a trace. The first is no text, the end catches line-end conversion.
pub const MAGIC: [u8; 8] = *b"\x89TRACE\r\n";
/// Version that this crate writes.
pub const VERSION: u16 = 1;
/// Oldest version that this crate reads.
pub const OLDEST_VERSION: u16 = 1;

/// The file header as it lies on disk, 32 bytes.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct FileHeader {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`VERSION`].
    pub version: U16,
    /// Zero; ignored.
    pub unused: [u8; 6],
    /// A number that tells traces apart; random, or 0.
    pub trace_id: U64,
    /// Zero; ignored.
    pub unused_too: [u8; 4],
    /// CRC-32 of the bytes before it.
    pub checksum: U32,
}

const _: () = assert!(size_of::<FileHeader>() == 32);
/// Bytes of the file header.
pub const FILE_HEADER_BYTES: usize = size_of::<FileHeader>();
const CHECKED: usize = FILE_HEADER_BYTES - 4;

impl FileHeader {
    /// A header of the current version.
    #[must_use]
    pub fn new(trace_id: u64) -> Self {
        let mut header = Self {
            magic: MAGIC,
            version: VERSION.into(),
            unused: [0; 6],
            trace_id: trace_id.into(),
            unused_too: [0; 4],
            checksum: 0.into(),
        };
        header.checksum = crc32fast::hash(&header.as_bytes()[..CHECKED]).into();
        header
    }

    /// Reads the header at the front of `bytes`.
    ///
    /// # Errors
    /// [`Error::NotATrace`] if there is none, [`Error::Version`] if it is of a version that this crate does not read.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let begins = |found: &[u8]| found.iter().zip(&MAGIC).all(|(a, b)| a == b);
        let not = |why| Err(Error::NotATrace(why));
        if bytes.is_empty() {
            return not(NotATrace::Empty);
        }
        if !begins(bytes) {
            let mut found = [0; 8];
            found.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            return not(NotATrace::Magic { found, expected: MAGIC });
        }
        let Ok((header, _)) = Self::read_from_prefix(bytes) else {
            return not(NotATrace::Short { len: bytes.len() as u64 });
        };
        let (computed, stored) = (crc32fast::hash(&header.as_bytes()[..CHECKED]), header.checksum.get());
        if computed != stored {
            return not(NotATrace::Checksum { computed, stored });
        }
        let found = header.version.get();
        if !(OLDEST_VERSION..=VERSION).contains(&found) {
            return Err(Error::Version { found, min: OLDEST_VERSION, max: VERSION });
        }
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_version(version: u16) -> Vec<u8> {
        let mut header = FileHeader::new(7);
        header.version = version.into();
        header.checksum = crc32fast::hash(&header.as_bytes()[..CHECKED]).into();
        header.as_bytes().to_vec()
    }

    fn error(bytes: &[u8]) -> String {
        FileHeader::parse(bytes).expect_err("must be refused").to_string()
    }

    #[test]
    fn a_header_is_read_back() {
        let header = FileHeader::parse(FileHeader::new(7).as_bytes()).expect("just made");
        assert_eq!((header.trace_id.get(), header.version.get()), (7, VERSION));
    }

    #[test]
    fn what_is_no_trace_is_refused_with_a_reason() {
        assert_eq!(error(b""), "file is empty, a trace needs at least 32 bytes");
        assert_eq!(error(&MAGIC), "file is 8 bytes long, a trace needs at least 32");
        assert!(error(b"hello").starts_with("not a trace: it begins with [68, 65, 6c, 6c, 6f"));
        assert!(error(b"\x1f\x8b\x08").ends_with("; it is compressed by gzip: unpack it first"));
        let mut damaged = FileHeader::new(7).as_bytes().to_vec();
        damaged[17] ^= 1;
        assert!(error(&damaged).starts_with("file header is damaged: checksum 0x"));
    }

    #[test]
    fn other_versions_are_refused_by_name() {
        let newer = "format version 2 is newer than this tracer reads (1 to 1); upgrade tracer";
        assert_eq!(error(&with_version(2)), newer);
        assert_eq!(error(&with_version(0)), "format version 0 is older than this tracer reads (1 to 1)");
    }
}
