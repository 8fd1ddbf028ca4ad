//! zstd contexts, made once and used for every block: compression into and out of buffers that are already there.

use zstd::bulk::{Compressor, Decompressor};

use crate::{Damage, Result};

/// zstd level of all blocks; higher ones cost time and gain next to nothing on columns (measured: see SPEC.md).
pub const LEVEL: i32 = 3;

/// Compresses columns and other content.
pub(crate) struct Encoder {
    zstd: Compressor<'static>,
    pub(crate) planes: Vec<u8>,
    packed: Vec<u8>,
}

impl Encoder {
    pub(crate) fn new(level: i32) -> Result<Self> {
        Ok(Self { zstd: Compressor::new(level)?, planes: Vec::new(), packed: Vec::new() })
    }

    /// Compresses `bytes`; `None` where that does not make them smaller.
    pub(crate) fn pack(&mut self, bytes: &[u8]) -> Option<&[u8]> {
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(bytes.len()));
        let len = self.zstd.compress_to_buffer(bytes, &mut self.packed).ok()?;
        (len < bytes.len()).then_some(&self.packed[..len])
    }
}

/// Decompresses columns and other content, never more than the caller expects.
pub(crate) struct Decoder {
    zstd: Decompressor<'static>,
    pub(crate) planes: Vec<u8>,
}

impl Decoder {
    pub(crate) fn new() -> Self {
        let zstd = Decompressor::new().expect("zstd gives a context unless memory is out");
        Self { zstd, planes: Vec::new() }
    }

    /// Decompresses `packed` into all of `out`.
    pub(crate) fn unpack_into(&mut self, packed: &[u8], out: &mut [u8]) -> Result<(), Damage> {
        match self.zstd.decompress_to_buffer(packed, out) {
            Ok(len) if len == out.len() => Ok(()),
            Ok(_) => Err(Damage::Content("compressed content is shorter than it says")),
            Err(_) => Err(Damage::Content("compressed content does not decompress to its length")),
        }
    }
}
