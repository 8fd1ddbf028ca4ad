//! zstd contexts, made once and used for every block: compression into and out of buffers that are already there.

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe;

use crate::error::{Damage, Result};

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
        self.packed.reserve(zstd_safe::compress_bound(bytes.len()));
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
        if !is_plain_frame(packed, out.len()) {
            return Err(Damage::Content("compressed content is not one zstd frame of its length"));
        }
        match self.zstd.decompress_to_buffer(packed, out) {
            Ok(len) if len == out.len() => Ok(()),
            Ok(_) => Err(Damage::Content("compressed content is shorter than it says")),
            Err(_) => Err(Damage::Content("compressed content does not decompress to its length")),
        }
    }
}

/// Whether `packed` is one zstd frame and nothing else, which says that it gives `len` bytes, without checksum and
/// dictionary. The library would take more than that, another reader's might not.
fn is_plain_frame(packed: &[u8], len: usize) -> bool {
    let says = zstd_safe::get_frame_content_size(packed).ok().flatten();
    packed.get(4).is_some_and(|descriptor| descriptor & 0b111 == 0)
        && says == Some(len as u64)
        && zstd_safe::find_frame_compressed_size(packed) == Ok(packed.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_frame_is_taken() {
        let bytes = [7; 300];
        let packed = Encoder::new(3).expect("zstd").pack(&bytes).expect("smaller").to_vec();
        let unpack = |packed: &[u8]| Decoder::new().unpack_into(packed, &mut [0; 300]);
        assert_eq!(unpack(&packed), Ok(()));
        let with = |change: fn(&mut Compressor<'_>)| {
            let mut zstd = Compressor::new(3).expect("zstd");
            change(&mut zstd);
            zstd.compress(&bytes).expect("in memory")
        };
        let no_frame = Err(Damage::Content("compressed content is not one zstd frame of its length"));
        assert_eq!(unpack(&with(|_| {})), Ok(()));
        assert_eq!(unpack(&with(|zstd| zstd.include_checksum(true).expect("known"))), no_frame);
        assert_eq!(unpack(&with(|zstd| zstd.include_contentsize(false).expect("known"))), no_frame);
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0];
        assert_eq!(unpack(&[&packed[..], &skippable].concat()), no_frame);
        assert_eq!(unpack(&[&skippable, &packed[..]].concat()), no_frame);
        assert_eq!(unpack(&[&packed[..], &[0]].concat()), no_frame);
    }
}
