//! Integers as decimal digits, two at a time: the log is mostly digits.
#![expect(clippy::cast_possible_truncation, reason = "every cast number is below 100")]

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

/// The last eight digits of `number`, with leading zeros.
pub(super) fn last_eight(number: u32) -> [u8; 8] {
    let (high, low) = (number / 10_000 % 10_000, number % 10_000);
    let pair = |number: u32| PAIRS[(number % 100) as usize];
    let ([a, b], [c, d], [e, f], [g, h]) = (pair(high / 100), pair(high), pair(low / 100), pair(low));
    [a, b, c, d, e, f, g, h]
}

/// Appends `number`.
pub fn push_unsigned(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let len = number.checked_ilog10().map_or(1, |last| last as usize + 1);
    let mut end = len;
    while number >= 100 {
        end -= 2;
        digits[end..end + 2].copy_from_slice(&PAIRS[(number % 100) as usize]);
        number /= 100;
    }
    if number >= 10 {
        digits[..2].copy_from_slice(&PAIRS[number as usize]);
    } else {
        digits[0] = b'0' + number as u8;
    }
    // All that there is room for, as a copy of fixed size is a few instructions.
    let end = out.len() + len;
    out.extend_from_slice(&digits);
    out.truncate(end);
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
