//! Which strings of the next events block are cut (SPEC.md "Cuts").
#![expect(clippy::cast_possible_truncation, reason = "a number of a string is below the limit of strings")]

use super::codec::{Decoder, Encoder};
use super::cursor::{Cursor, put_varint};
use crate::error::Damage;
use crate::limits::MAX_BLOCK_VALUES;

/// The content of a cuts block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cuts {
    /// Number of the events block that it is about.
    pub(crate) sequence: u32,
    /// Numbers of its strings that are cut, ascending.
    pub(crate) strings: Vec<u32>,
}

/// Appends the content of a block about the strings of the events block `sequence`.
pub(crate) fn encode(sequence: u32, strings: &[u32], encoder: &mut Encoder, out: &mut Vec<u8>) {
    put_varint(out, sequence.into());
    let numbers: Vec<u64> = strings.iter().map(|&string| string.into()).collect();
    encoder.put_column(&numbers, out);
}

/// Reads the content of the block with number `own` that names `count` strings.
pub(crate) fn decode(content: &[u8], own: u32, count: u32) -> Result<Cuts, Damage> {
    if count as usize > MAX_BLOCK_VALUES {
        return Err(Damage::Limit { what: "cut strings", len: count.into(), max: MAX_BLOCK_VALUES as u64 });
    }
    let mut cursor = Cursor::new(content);
    if cursor.varint()? != u64::from(own) + 1 {
        return Err(Damage::Content("cut strings are not of the next block"));
    }
    let mut numbers = Vec::new();
    Decoder::new().take_column(&mut cursor, count as usize, &mut numbers)?;
    if !cursor.is_empty() {
        return Err(Damage::Content("bytes are left over"));
    }
    let ascending = numbers.windows(2).all(|pair| pair[0] < pair[1]);
    if !ascending || numbers.last().is_some_and(|&last| last >= MAX_BLOCK_VALUES as u64) {
        return Err(Damage::Content("numbers of cut strings are out of order"));
    }
    let strings = numbers.into_iter().map(|number| number as u32).collect();
    Ok(Cuts { sequence: own.saturating_add(1), strings })
}
