//! Definitions on disk: each with its kind, its id and its length, so that readers skip what they do not know
//! (SPEC.md "Definitions").
#![expect(clippy::cast_possible_truncation, reason = "the limits keep ids below 2^32")]

use super::codec::{Decoder, Encoder};
use super::column::put_plain;
use super::cursor::{Cursor, put_varint};
use super::definition;
use super::shared::Shared;
use crate::error::Damage;
use crate::limits::{
    DEFINITION_WEIGHT, MAX_COMMAND_WORDS, MAX_DEFINITIONS_BYTES, MAX_NAME_BYTES, WORD_WEIGHT,
};
use crate::model::Definition;

/// Definitions on their way into a block.
#[derive(Default)]
pub(crate) struct DictionaryBuilder {
    bytes: Vec<u8>,
    count: u32,
    max_id: u32,
}

impl DictionaryBuilder {
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether another definition might not fit.
    pub(crate) fn is_full(&self) -> bool {
        // The largest definition: a process with a full command line.
        self.bytes.len() + (MAX_COMMAND_WORDS + 8) * (MAX_NAME_BYTES + 8) > MAX_DEFINITIONS_BYTES
    }

    pub(crate) fn push(&mut self, id: u32, definition: &Definition) {
        let (number, body) = definition::encode(definition);
        self.bytes.push(number);
        put_varint(&mut self.bytes, id.into());
        put_varint(&mut self.bytes, body.len() as u64);
        self.bytes.extend_from_slice(&body);
        self.count += 1;
        self.max_id = self.max_id.max(id);
    }

    /// Number of definitions pushed.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Bytes of the definitions pushed, before compression.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Appends the content of a block with all definitions pushed, and is empty again. `before` are the bytes of the
    /// trace in front of `out`: ids must stay below the bytes of the trace, compressed or not.
    pub(crate) fn encode(&mut self, before: u64, encoder: &mut Encoder, out: &mut Vec<u8>) {
        put_varint(out, self.bytes.len() as u64);
        let start = out.len();
        encoder.put_plane(&self.bytes, out);
        if u64::from(self.max_id) >= before + out.len() as u64 {
            out.truncate(start);
            put_plain(&self.bytes, out);
        }
        *self = Self { bytes: std::mem::take(&mut self.bytes), ..Self::default() };
        self.bytes.clear();
    }
}

/// Reads the `count` definitions of a block and gives each with its id to `place`; unknown kinds are skipped.
///
/// One after the other: a list of all could take a hundred times the bytes of a hostile block. So all of them are read
/// twice, and none is placed if one is damaged.
pub(crate) fn decode(
    content: &[u8],
    count: usize,
    shared: &mut Shared,
    place: impl FnMut((u32, Definition), usize, &mut Shared) -> Result<(), Damage>,
) -> Result<(), Damage> {
    let bytes = unpack(content)?;
    if each(&bytes, shared, |_, _, _| Ok(()))? != count {
        return Err(Damage::Content("the block header has another number of definitions"));
    }
    each(&bytes, shared, place).map(drop)
}

fn unpack(content: &[u8]) -> Result<Vec<u8>, Damage> {
    let mut cursor = Cursor::new(content);
    let len = cursor.count("definition bytes", MAX_DEFINITIONS_BYTES)?;
    let mut bytes = vec![0; len];
    Decoder::new().take_plane(&mut cursor, &mut bytes)?;
    if cursor.is_empty() { Ok(bytes) } else { Err(Damage::Content("bytes are left over")) }
}

/// Gives each definition to `place`, and how many there are of all kinds.
fn each(
    bytes: &[u8],
    shared: &mut Shared,
    mut place: impl FnMut((u32, Definition), usize, &mut Shared) -> Result<(), Damage>,
) -> Result<usize, Damage> {
    let (mut cursor, mut count) = (Cursor::new(bytes), 0);
    while !cursor.is_empty() {
        let number = cursor.u8()?;
        let id = cursor.count("definition id", u32::MAX as usize)? as u32;
        let len = cursor.count("definition length", MAX_DEFINITIONS_BYTES)?;
        if let Some(definition) = definition::decode(number, cursor.take(len)?, shared)? {
            let weight = weight(&definition, len);
            place((id, definition), weight, shared)?;
        }
        count += 1;
    }
    Ok(count)
}

/// What a definition with a body of so many bytes counts of [`MAX_DEFINITIONS_WEIGHT`](crate::limits::MAX_DEFINITIONS_WEIGHT).
pub(crate) fn weight(definition: &Definition, body_bytes: usize) -> usize {
    let words = match definition {
        Definition::Host(host) => host.command.len(),
        Definition::Process(process) => process.command.len(),
        _ => 0,
    };
    DEFINITION_WEIGHT + body_bytes + WORD_WEIGHT * words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::StageDef;

    #[test]
    fn ids_stay_below_the_bytes_of_the_trace() {
        let compressed = |before: u64| {
            let mut builder = DictionaryBuilder::default();
            let stage = Definition::Stage(StageDef { name: "alike".into(), ..StageDef::default() });
            (0..1000).for_each(|_| builder.push(5000, &stage));
            let (mut encoder, mut out) = (Encoder::new(3).expect("zstd"), Vec::new());
            let bytes = builder.bytes();
            builder.encode(before, &mut encoder, &mut out);
            assert!(before + out.len() as u64 > 5000, "byte {}", before + out.len() as u64);
            out.len() < bytes
        };
        assert!(compressed(5001) && !compressed(0));
    }
}
