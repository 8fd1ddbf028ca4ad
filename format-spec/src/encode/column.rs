//! Columns of numbers: bit-packed, or byte planes, each constant, as it is, or compressed (SPEC.md "Column").
//!
//! Plane `k` holds byte `k` of every value: those of high bytes are often constant, the others hold bytes of one kind, which
//! is what an entropy coder needs. Where there are too few values for one, their plain bits are shorter.
#![expect(clippy::cast_possible_truncation, reason = "a plane is one byte of each value")]

use super::codec::{Decoder, Encoder};
use super::cursor::{Cursor, put_varint};
use crate::error::Damage;

/// How a plane is stored.
mod form {
    /// One byte: the value of all bytes of the plane.
    pub(super) const CONSTANT: u8 = 0;
    /// The bytes as they are.
    pub(super) const PLAIN: u8 = 1;
    /// A varint length, and that many bytes of a zstd frame.
    pub(super) const ZSTD: u8 = 2;
}

/// Maps small negative and positive numbers to small numbers.
pub(crate) fn zigzag(value: u64) -> u64 {
    (value << 1) ^ (value.cast_signed() >> 63).cast_unsigned()
}

/// The inverse of [`zigzag`].
pub(crate) fn unzigzag(value: u64) -> u64 {
    (value >> 1) ^ (value & 1).wrapping_neg()
}

/// Below this, a frame costs more than it can gain.
const MIN_PACKED: usize = 24;
/// First byte of a column of bit-packed numbers: their bits, up to this; above it are the numbers of byte planes.
const MAX_BITS: u8 = 64;

impl Encoder {
    /// Appends a column; the reader must know how many values it has.
    pub(crate) fn put_column(&mut self, values: &[u64], out: &mut Vec<u8>) {
        if values.is_empty() {
            return;
        }
        let all = values.iter().fold(0, |bits, value| bits | value);
        let bits = (u64::BITS - all.leading_zeros()) as usize;
        let width = bits.div_ceil(8);
        let start = out.len();
        out.push(MAX_BITS + width as u8);
        let mut plane = std::mem::take(&mut self.planes);
        for byte in 0..width {
            plane.clear();
            plane.extend(values.iter().map(|value| (value >> (8 * byte)) as u8));
            self.put_plane(&plane, out);
        }
        self.planes = plane;
        if (bits * values.len()).div_ceil(8) < out.len() - start {
            out.truncate(start);
            put_packed(values, bits, out);
        }
    }

    /// Appends one plane in its shortest form.
    pub(crate) fn put_plane(&mut self, plane: &[u8], out: &mut Vec<u8>) {
        let Some(&first) = plane.first() else { return };
        if plane.iter().all(|&byte| byte == first) {
            out.extend([form::CONSTANT, first]);
            return;
        }
        if plane.len() >= MIN_PACKED
            && let Some(packed) = self.pack(plane)
        {
            out.push(form::ZSTD);
            put_varint(out, packed.len() as u64);
            out.extend_from_slice(packed);
            return;
        }
        put_plain(plane, out);
    }
}

/// Appends numbers of so many bits each, end to end from the lowest bit of the first byte on.
fn put_packed(values: &[u64], bits: usize, out: &mut Vec<u8>) {
    out.push(bits as u8);
    let (mut waiting, mut filled) = (0_u128, 0);
    for &value in values {
        waiting |= u128::from(value) << filled;
        filled += bits;
        if filled >= 64 {
            out.extend_from_slice(&(waiting as u64).to_le_bytes());
            waiting >>= 64;
            filled -= 64;
        }
    }
    out.extend_from_slice(&waiting.to_le_bytes()[..filled.div_ceil(8)]);
}

/// Appends one plane as it is; it has bytes.
pub(crate) fn put_plain(plane: &[u8], out: &mut Vec<u8>) {
    out.push(form::PLAIN);
    out.extend_from_slice(plane);
}

impl Decoder {
    /// Reads a column of `len` values and appends them to `out`; the caller has checked `len` against a limit.
    pub(crate) fn take_column(
        &mut self,
        cursor: &mut Cursor<'_>,
        len: usize,
        out: &mut Vec<u64>,
    ) -> Result<(), Damage> {
        if len == 0 {
            return Ok(());
        }
        let first = cursor.u8()?;
        if first <= MAX_BITS {
            let bits = usize::from(first);
            unpack(cursor.take((bits * len).div_ceil(8))?, bits, len, &mut self.planes, out);
            return Ok(());
        }
        let width = usize::from(first - MAX_BITS);
        if width > 8 {
            return Err(Damage::Limit { what: "first byte of a column", len: first.into(), max: 72 });
        }
        let mut planes = std::mem::take(&mut self.planes);
        if planes.len() < width * len {
            planes.resize(width * len, 0);
        }
        let result = self.take_planes(cursor, len, &mut planes[..width * len]);
        if result.is_ok() {
            join(&planes[..width * len], len, width, out);
        }
        self.planes = planes;
        result
    }

    fn take_planes(&mut self, cursor: &mut Cursor<'_>, len: usize, planes: &mut [u8]) -> Result<(), Damage> {
        planes.chunks_exact_mut(len).try_for_each(|plane| self.take_plane(cursor, plane))
    }

    /// Reads one plane into all of `plane`.
    pub(crate) fn take_plane(&mut self, cursor: &mut Cursor<'_>, plane: &mut [u8]) -> Result<(), Damage> {
        if plane.is_empty() {
            return Ok(());
        }
        match cursor.u8()? {
            form::CONSTANT => plane.fill(cursor.u8()?),
            form::PLAIN => plane.copy_from_slice(cursor.take(plane.len())?),
            form::ZSTD => {
                let stored = cursor.count("stored bytes of a plane", plane.len())?;
                self.unpack_into(cursor.take(stored)?, plane)?;
            }
            _ => return Err(Damage::Content("a plane has an unknown form")),
        }
        Ok(())
    }
}

/// Appends `len` numbers of so many bits each; `room` is for a copy with some bytes behind its end.
fn unpack(packed: &[u8], bits: usize, len: usize, room: &mut Vec<u8>, out: &mut Vec<u64>) {
    const WINDOW: usize = size_of::<u128>();
    if bits == 0 {
        out.resize(out.len() + len, 0);
        return;
    }
    room.clear();
    room.extend_from_slice(packed);
    room.resize(packed.len() + WINDOW, 0);
    let mask = u64::MAX >> (64 - bits);
    out.extend((0..len).map(|index| {
        let at = index * bits;
        let window = room[at / 8..].first_chunk().copied().unwrap_or([0; WINDOW]);
        (u128::from_le_bytes(window) >> (at % 8)) as u64 & mask
    }));
}

/// Puts the planes together again. The loops are written out by width so that each becomes a few vector instructions.
fn join(planes: &[u8], len: usize, width: usize, out: &mut Vec<u64>) {
    let start = out.len();
    let mut split = planes.chunks_exact(len);
    let mut next = || split.next().unwrap_or_default();
    match width {
        1 => out.extend(next().iter().map(|&a| u64::from(a))),
        2 => {
            let (a, b) = (next(), next());
            out.extend(a.iter().zip(b).map(|(&a, &b)| u64::from(u16::from_le_bytes([a, b]))));
        }
        3 => {
            let (a, b, c) = (next(), next(), next());
            let value = |((&a, &b), &c): ((&u8, &u8), &u8)| u64::from(u32::from_le_bytes([a, b, c, 0]));
            out.extend(a.iter().zip(b).zip(c).map(value));
        }
        _ => {
            out.resize(start + len, 0);
            for (byte, plane) in planes.chunks_exact(len).enumerate() {
                let shift = 8 * byte;
                out[start..]
                    .iter_mut()
                    .zip(plane)
                    .for_each(|(value, &bits)| *value |= u64::from(bits) << shift);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(values: &[u64]) -> usize {
        let mut bytes = Vec::new();
        Encoder::new(3).expect("zstd").put_column(values, &mut bytes);
        let mut cursor = Cursor::new(&bytes);
        let mut back = Vec::new();
        Decoder::new().take_column(&mut cursor, values.len(), &mut back).expect("just written");
        assert!(cursor.is_empty());
        assert_eq!(back, values);
        bytes.len()
    }

    #[test]
    fn columns_of_every_width_round_trip() {
        for bits in 0..=64_u32 {
            let max = u64::MAX.checked_shr(64 - bits).unwrap_or(0);
            for len in [0, 1, 2, 23, 24, 25, 1000] {
                let values: Vec<u64> =
                    (0..len).map(|i: u64| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) & max).collect();
                let most = 1 + values.len() * bits as usize / 8 + 1;
                assert!(round_trip(&values) <= most, "{len} values of {bits} bits");
            }
        }
    }

    #[test]
    fn a_constant_column_costs_two_bytes_a_plane() {
        assert_eq!(round_trip(&[]), 0);
        assert_eq!(round_trip(&[0; 60_000]), 1);
        assert_eq!(round_trip(&[7; 60_000]), 3);
        assert_eq!(round_trip(&[0x1234; 60_000]), 5);
        assert_eq!(round_trip(&[0x1234]), 3);
    }

    #[test]
    fn zigzag_keeps_small_numbers_small() {
        for (value, coded) in [(0, 0), (u64::MAX, 1), (1, 2), (i64::MAX as u64, u64::MAX - 1)] {
            assert_eq!(zigzag(value), coded);
            assert_eq!(unzigzag(coded), value);
        }
    }

    #[test]
    fn a_plane_that_claims_more_than_it_has_is_damage() {
        let mut out = Vec::new();
        let mut take = |bytes: &[u8], len| Decoder::new().take_column(&mut Cursor::new(bytes), len, &mut out);
        let first = Damage::Limit { what: "first byte of a column", len: 73, max: 72 };
        assert_eq!(take(&[73], 1), Err(first));
        assert_eq!(take(&[65, 3, 0], 1), Err(Damage::Content("a plane has an unknown form")));
        assert_eq!(take(&[65, 1, 0], 2), Err(Damage::Content("the content ends early")));
        assert_eq!(take(&[5, 0], 2), Err(Damage::Content("the content ends early")));
        let stored = Damage::Limit { what: "stored bytes of a plane", len: 5, max: 4 };
        assert_eq!(take(&[65, 2, 5], 4), Err(stored));
    }
}
