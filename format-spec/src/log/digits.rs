//! Integers as decimal digits, two at a time: the log is mostly digits.
#![expect(clippy::cast_possible_truncation, reason = "every cast number is below 10^8")]

/// The digits of 0 to 99, two bytes each.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

/// The first number of nine digits.
const EIGHT: u64 = 100_000_000;

/// The last eight digits of `number`, with leading zeros.
pub(super) fn last_eight(number: u32) -> [u8; 8] {
    let (high, low) = (number / 10_000 % 10_000, number % 10_000);
    let pair = |number: u32| PAIRS[(number % 100) as usize];
    let ([a, b], [c, d], [e, f], [g, h]) = (pair(high / 100), pair(high), pair(low / 100), pair(low));
    [a, b, c, d, e, f, g, h]
}

/// Appends `number`.
#[inline]
pub fn push_unsigned(out: &mut Vec<u8>, number: u64) {
    let (high, low) = (number / EIGHT, (number % EIGHT) as u32);
    if high == 0 {
        return push_short(out, low);
    }
    push_long(out, high);
    out.extend_from_slice(&last_eight(low));
}

/// Appends a number of up to twelve digits.
fn push_long(out: &mut Vec<u8>, number: u64) {
    let (high, low) = (number / EIGHT, (number % EIGHT) as u32);
    if high == 0 {
        return push_short(out, low);
    }
    push_short(out, high as u32);
    out.extend_from_slice(&last_eight(low));
}

/// Appends a number of up to eight digits.
#[inline]
fn push_short(out: &mut Vec<u8>, number: u32) {
    let digits = u64::from_be_bytes(last_eight(number));
    let zeros = (digits ^ u64::from_be_bytes([b'0'; 8]) | 1).leading_zeros() / 8;
    // All eight bytes, as a copy of fixed size is a few instructions.
    let end = out.len() + 8 - zeros as usize;
    out.extend_from_slice(&(digits << (8 * zeros)).to_be_bytes());
    out.truncate(end);
}

/// Appends `number` thousandths, with three decimals.
#[inline]
pub fn push_thousandths(out: &mut Vec<u8>, number: u64) {
    push_unsigned(out, number / 1000);
    let rest = number % 1000;
    let [tens, ones] = PAIRS[(rest % 100) as usize];
    out.extend_from_slice(&[b'.', b'0' + (rest / 100) as u8, tens, ones]);
}

/// Appends `number` with its sign, if it is negative.
pub fn push_signed(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    push_unsigned(out, number.unsigned_abs());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_the_standard_library() {
        let powers = (0..20).map(|power| 10_u64.pow(power)).flat_map(|power| [power - 1, power, power + 1]);
        for number in powers.chain([u64::MAX, u64::MAX - 1, i64::MAX as u64]) {
            let mut out = Vec::new();
            push_unsigned(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
            let mut out = Vec::new();
            push_thousandths(&mut out, number);
            let expected = format!("{}.{:03}", number / 1000, number % 1000);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
        for number in [0, -1, i64::MIN, i64::MAX, -100] {
            let mut out = Vec::new();
            push_signed(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
        assert_eq!(&last_eight(12_345), b"00012345");
        assert_eq!(&last_eight(99_999_999), b"99999999");
    }
}
