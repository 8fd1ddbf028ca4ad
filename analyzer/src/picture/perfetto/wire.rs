//! Protobuf's wire format, as far as a trace needs it (<https://protobuf.dev/programming-guides/encoding>).

/// Wire types.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;

/// Appends a number, seven bits a byte, the lowest first. Inline: most numbers are known where this is called, and of one byte.
#[inline(always)]
pub(super) fn push_varint(out: &mut Vec<u8>, value: u64) {
    if value < 0x80 { out.push(value.to_le_bytes()[0]) } else { push_long(out, value) }
}

/// Appends a number of two bytes or more; of up to eight, as times and ids are, all at once.
fn push_long(out: &mut Vec<u8>, mut value: u64) {
    let len = (u64::BITS - value.leading_zeros()).div_ceil(7) as usize;
    if len <= 8 {
        let spread = (0..8).fold(0, |spread, byte| spread | (value << byte) & (0x7f << (8 * byte)));
        let more = 0x8080_8080_8080_8080 & ((1 << (8 * (len - 1))) - 1);
        let end = out.len() + len;
        out.extend_from_slice(&(spread | more).to_le_bytes());
        return out.truncate(end);
    }
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

#[inline(always)]
fn push_tag(out: &mut Vec<u8>, field: u32, wire_type: u64) {
    push_varint(out, u64::from(field) << 3 | wire_type);
}

/// Appends field `field` of type uint32, uint64, bool or enum.
#[inline(always)]
pub(super) fn push_uint(out: &mut Vec<u8>, field: u32, value: u64) {
    push_tag(out, field, VARINT);
    push_varint(out, value);
}

/// Appends field `field` of type int32 or int64.
pub(super) fn push_int(out: &mut Vec<u8>, field: u32, value: i64) {
    push_uint(out, field, value.cast_unsigned());
}

/// Appends field `field` of type fixed64.
pub(super) fn push_fixed(out: &mut Vec<u8>, field: u32, value: u64) {
    push_tag(out, field, FIXED64);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends field `field` of type string.
pub(super) fn push_text(out: &mut Vec<u8>, field: u32, text: &str) {
    push_message(out, field, |out| out.extend_from_slice(text.as_bytes()));
}

/// Appends field `field`, whose content is what `fill` appends.
#[inline(always)]
pub(super) fn push_message(out: &mut Vec<u8>, field: u32, fill: impl FnOnce(&mut Vec<u8>)) {
    push_tag(out, field, BYTES);
    // Most lengths take one byte; room for a longer one is made afterwards.
    let at = out.len();
    out.push(0);
    fill(out);
    let len = out.len() - at - 1;
    if let Ok(byte) = u8::try_from(len)
        && byte < 0x80
    {
        out[at] = byte;
    } else {
        make_room(out, at, len);
    }
}

/// Writes a length of several bytes where there is room for one.
#[cold]
fn make_room(out: &mut Vec<u8>, at: usize, len: usize) {
    let mut varint = Vec::new();
    push_varint(&mut varint, len as u64);
    out.splice(at..=at, varint);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(push: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        push(&mut out);
        out
    }

    #[test]
    fn fields_are_as_the_encoding_guide_shows_them() {
        assert_eq!(bytes(|out| push_uint(out, 1, 150)), [0x08, 0x96, 0x01]);
        assert_eq!(
            bytes(|out| push_text(out, 2, "testing")),
            [0x12, 7, b't', b'e', b's', b't', b'i', b'n', b'g']
        );
        assert_eq!(
            bytes(|out| push_message(out, 3, |out| push_uint(out, 1, 150))),
            [0x1a, 3, 0x08, 0x96, 0x01]
        );
        assert_eq!(bytes(|out| push_int(out, 1, -2)), [8, 0xfe, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
        assert_eq!(bytes(|out| push_fixed(out, 47, 0x0102)), [0xf9, 2, 2, 1, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn numbers_have_seven_bits_a_byte() {
        let edges =
            (0..64).flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit, (1 << bit) | 0x55, u64::MAX >> bit]);
        for number in edges {
            let mut expected = Vec::new();
            let mut rest = number;
            while rest >= 0x80 {
                expected.push(rest.to_le_bytes()[0] | 0x80);
                rest >>= 7;
            }
            expected.push(rest.to_le_bytes()[0]);
            assert_eq!(bytes(|out| push_varint(out, number)), expected, "{number:#x}");
        }
    }

    #[test]
    fn a_length_takes_as_many_bytes_as_it_needs() {
        for len in [0, 127, 128, 16_383, 16_384, 100_000] {
            let mut expected = vec![0x0a];
            push_varint(&mut expected, len as u64);
            expected.extend(vec![7; len]);
            assert_eq!(bytes(|out| push_message(out, 1, |out| out.extend(vec![7; len]))), expected, "{len}");
        }
    }
}
