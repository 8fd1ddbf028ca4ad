//! Where a trace goes: files that the caller opens, or memory, for a flight recorder.

use std::io::{self, Write};

/// Opens the file of part `n` of a recording: part 0 first, further ones when a recording is rotated or a snapshot taken.
pub type Open<'a> = Box<dyn FnMut(u32) -> io::Result<Box<dyn Write + Send + 'a>> + Send + 'a>;

/// Takes the bytes of one trace.
pub enum Sink<'a> {
    /// A file; its `flush` may reach the disk.
    File(Box<dyn Write + Send + 'a>),
    /// Memory.
    Memory(Vec<u8>),
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Memory(memory) => memory.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Memory(memory) => memory.flush(),
        }
    }
}
