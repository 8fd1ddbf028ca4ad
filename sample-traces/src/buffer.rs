//! A buffer and its bytes on the pipe: header, payload, trailer.
//!
//! ```text
//! magic u32 | payload bytes u32 | sequence number u64 | payload ... | checksum u64      (little-endian)
//! ```
//! A buffer has arrived only when its trailer has, so a sender can fire a probe between the last byte of the payload and
//! the moment at which the receiver may act on it.

use crate::Error;
use std::io::{ErrorKind, Read};

/// First four bytes of every buffer.
const MAGIC: u32 = u32::from_le_bytes(*b"BUF1");
const HEADER_BYTES: usize = 16;
const TRAILER_BYTES: usize = 8;
/// Largest payload, bytes; bounds what a reader allocates.
pub const MAX_PAYLOAD_BYTES: u32 = 64 << 20;

/// One buffer, held as its bytes on the pipe.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Buffer {
    bytes: Vec<u8>,
}

impl Buffer {
    /// Makes a buffer with a payload that follows from its sequence number.
    ///
    /// # Panics
    /// If `payload_bytes` is above [`MAX_PAYLOAD_BYTES`] (the options refuse that).
    #[must_use]
    pub fn new(seq: u64, payload_bytes: u32) -> Buffer {
        assert!(payload_bytes <= MAX_PAYLOAD_BYTES, "the options limit the payload");
        let mut bytes = Vec::with_capacity(HEADER_BYTES + payload_bytes as usize + TRAILER_BYTES);
        bytes.extend(MAGIC.to_le_bytes());
        bytes.extend(payload_bytes.to_le_bytes());
        bytes.extend(seq.to_le_bytes());
        bytes.extend((0..payload_bytes).map(|i| seq.wrapping_add(u64::from(i)).to_le_bytes()[0]));
        let mut buffer = Buffer { bytes };
        buffer.bytes.extend([0; TRAILER_BYTES]);
        buffer.seal();
        buffer
    }

    /// Reads the next buffer into `self`, reusing its memory; false at the end of the input.
    ///
    /// # Errors
    /// `NotABuffer`, `TooLarge`, `Checksum` and `Cut` for bytes that are no buffer, `Read` when reading fails.
    pub fn read(&mut self, input: &mut impl Read) -> Result<bool, Error> {
        let mut header = [0; HEADER_BYTES];
        if !fill(input, &mut header)? {
            return Ok(false);
        }
        let [m0, m1, m2, m3, l0, l1, l2, l3, seq @ ..] = header;
        let (magic, payload) = (u32::from_le_bytes([m0, m1, m2, m3]), u32::from_le_bytes([l0, l1, l2, l3]));
        let seq = u64::from_le_bytes(seq);
        if magic != MAGIC {
            return Err(Error::NotABuffer { found: magic, expected: MAGIC });
        }
        if payload > MAX_PAYLOAD_BYTES {
            return Err(Error::TooLarge { seq, bytes: payload, max: MAX_PAYLOAD_BYTES });
        }
        self.bytes.clear();
        self.bytes.extend(header);
        self.bytes.resize(HEADER_BYTES + payload as usize + TRAILER_BYTES, 0);
        if !fill(input, &mut self.bytes[HEADER_BYTES..])? {
            return Err(Error::Cut);
        }
        let (found, expected) = (checksum(self.payload()), self.stored_checksum());
        if found != expected {
            return Err(Error::Checksum { seq, found, expected });
        }
        Ok(true)
    }

    /// The sequence number.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.bytes[8..HEADER_BYTES].try_into().map(u64::from_le_bytes).expect("a header is 16 bytes long")
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.bytes[HEADER_BYTES..self.bytes.len() - TRAILER_BYTES]
    }

    /// Changes every byte of the payload: the processor's result.
    pub fn invert(&mut self) {
        let end = self.bytes.len() - TRAILER_BYTES;
        for byte in &mut self.bytes[HEADER_BYTES..end] {
            *byte = !*byte;
        }
        self.seal();
    }

    /// All bytes for the pipe: header, payload, trailer.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes for the pipe in two parts: header with payload, and the trailer that makes the buffer arrive.
    #[must_use]
    pub fn parts(&self) -> (&[u8], &[u8]) {
        self.bytes.split_at(self.bytes.len() - TRAILER_BYTES)
    }

    fn seal(&mut self) {
        let sum = checksum(self.payload()).to_le_bytes();
        let start = self.bytes.len() - TRAILER_BYTES;
        self.bytes[start..].copy_from_slice(&sum);
    }

    fn stored_checksum(&self) -> u64 {
        self.parts().1.try_into().map(u64::from_le_bytes).expect("a trailer is 8 bytes long")
    }
}

/// Sum that notices changed, missing and swapped words; cheap enough not to hide the cost of a probe.
fn checksum(payload: &[u8]) -> u64 {
    let mut words = payload.chunks_exact(8);
    let mut sum = payload.len() as u64;
    for word in &mut words {
        let word = word.try_into().map(u64::from_le_bytes).expect("chunks of 8 bytes");
        sum = (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
    for &byte in words.remainder() {
        sum = (sum ^ u64::from(byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
    sum
}

/// Fills `bytes` from the input; false if the input ended before the first byte.
fn fill(input: &mut impl Read, bytes: &mut [u8]) -> Result<bool, Error> {
    let mut done = 0;
    while done < bytes.len() {
        match input.read(&mut bytes[done..]) {
            Ok(0) if done == 0 => return Ok(false),
            Ok(0) => return Err(Error::Cut),
            Ok(n) => done += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(Error::Read(e)),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(mut bytes: &[u8]) -> Result<Vec<Buffer>, Error> {
        let (mut found, mut buffer) = (Vec::new(), Buffer::default());
        while buffer.read(&mut bytes)? {
            found.push(buffer.clone());
        }
        Ok(found)
    }

    #[test]
    fn buffers_of_every_size_travel_unchanged() {
        let sent: Vec<_> =
            [0, 1, 7, 8, 9, 4096].into_iter().map(|size| Buffer::new(u64::MAX, size)).collect();
        let pipe: Vec<u8> = sent.iter().flat_map(|b| b.bytes()).copied().collect();
        assert_eq!(read_all(&pipe).expect("six whole buffers"), sent);
        assert!(sent.iter().all(|b| b.seq() == u64::MAX));
    }

    #[test]
    fn an_inverted_buffer_has_another_payload_and_a_right_checksum() {
        let mut buffer = Buffer::new(3, 5);
        buffer.invert();
        assert_eq!(buffer.payload(), [!3, !4, !5, !6, !7]);
        assert_eq!(read_all(buffer.bytes()).expect("one whole buffer"), [buffer]);
    }

    #[test]
    fn every_cut_inside_a_buffer_is_an_error() {
        let buffer = Buffer::new(1, 3);
        for end in 1..buffer.bytes().len() {
            let error = read_all(&buffer.bytes()[..end]).expect_err("cut");
            assert_eq!(error.to_string(), "standard input: ended inside a buffer", "cut at {end}");
        }
    }

    #[test]
    fn a_changed_payload_a_foreign_start_and_a_huge_claim_are_refused() {
        let mut bytes = Buffer::new(7, 8).bytes().to_vec();
        bytes[HEADER_BYTES] ^= 1;
        let text = read_all(&bytes).expect_err("changed").to_string();
        assert!(text.starts_with("standard input: buffer 7 has checksum 0x"), "{text}");
        let text = read_all(b"GET / HTTP/1.1\r\n").expect_err("foreign").to_string();
        assert!(
            text.starts_with("standard input: found 0x20544547 where a buffer starts, expected 0x31465542")
        );
        let mut bytes = Buffer::new(7, 0).bytes().to_vec();
        bytes[4..8].copy_from_slice(&(MAX_PAYLOAD_BYTES + 1).to_le_bytes());
        let text = read_all(&bytes).expect_err("huge").to_string();
        assert_eq!(text, "standard input: buffer 7 claims 67108865 bytes, expected at most 67108864");
    }
}
