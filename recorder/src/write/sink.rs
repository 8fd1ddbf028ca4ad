//! Where a trace goes: files that the caller opens, or memory, for a flight recorder.

use std::io::{self, Write};

/// Opens the file of part `n` of a recording: part 0 first, further ones when a recording is rotated or a snapshot taken.
pub type Open<'a> = Box<dyn FnMut(u32) -> io::Result<Box<dyn Write + Send + 'a>> + Send + 'a>;

/// Takes the bytes of one trace.
pub enum Sink<'a> {
    /// A file; its `flush` may reach the disk.
    File {
        /// The file.
        file: Box<dyn Write + Send + 'a>,
        /// Bytes written to it.
        bytes: u64,
    },
    /// Memory.
    Memory(Vec<u8>),
}

impl<'a> Sink<'a> {
    /// A file that nothing was written to.
    #[must_use]
    pub fn file(file: Box<dyn Write + Send + 'a>) -> Self {
        Self::File { file, bytes: 0 }
    }

    /// Bytes written to a file; memory counts for nothing.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        match self {
            Self::File { bytes, .. } => *bytes,
            Self::Memory(_) => 0,
        }
    }
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File { file, bytes: count } => {
                let written = file.write(bytes)?;
                *count += written as u64;
                Ok(written)
            }
            Self::Memory(memory) => memory.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File { file, .. } => file.flush(),
            Self::Memory(memory) => memory.flush(),
        }
    }
}
