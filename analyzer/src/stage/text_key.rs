//! Texts as parts of keys.

/// A number that stands for a text (FNV-1a): equal for equal texts; that two of a trace's texts share one is as likely as
/// a memory error.
pub(crate) fn number_of(text: &[u8]) -> i64 {
    let mix = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.iter().fold(0xcbf2_9ce4_8422_2325, mix).cast_signed()
}
