//! Pseudonyms: what stands for a text or a number, the same for the same one. By a hash with a key, so that nobody without the key can
//! try which text gives a pseudonym.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::stage::{is_word_of_names, pieces};

/// Hexadecimal digits of the pseudonyms of names, of which a trace has thousands, and of strings, of which it has millions.
const NAME_DIGITS: usize = 12;
const STRING_DIGITS: usize = 20;

/// Makes pseudonyms.
pub(super) struct Pseudonyms(Hmac<Sha256>);

impl Pseudonyms {
    pub(super) fn new(secret: &[u8]) -> Self {
        Self(Hmac::new_from_slice(secret).expect("a key of any length will do"))
    }

    /// What stands for a text, behind `prefix`; nothing for an empty one, which means unknown.
    pub(super) fn text(&self, prefix: &str, text: &str) -> String {
        if text.is_empty() {
            return String::new();
        }
        format!("{prefix}{}", self.digits(text.as_bytes(), NAME_DIGITS))
    }

    /// What stands for a name: its words are replaced one by one, but for those that tell begins from ends, so that stages are
    /// learned from the pseudonyms as from the names.
    pub(super) fn name(&self, name: &str) -> String {
        let mut out = String::new();
        for (word, separator) in pieces(name) {
            let prefix = if word.starts_with(|it: char| it.is_ascii_uppercase()) { "X" } else { "x" };
            if is_word_of_names(word) {
                out.push_str(word);
            } else {
                out.push_str(&self.text(prefix, word));
            }
            out.push_str(separator);
        }
        out
    }

    /// What stands for a string of an event.
    pub(super) fn string(&self, string: &[u8]) -> Vec<u8> {
        if string.is_empty() {
            return Vec::new();
        }
        format!("s{}", self.digits(string, STRING_DIGITS)).into_bytes()
    }

    /// What stands for bytes: as many, up to 32.
    pub(super) fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        self.hash(bytes).into_iter().take(bytes.len()).collect()
    }

    /// What stands for a number: one of 62 bits, which is positive whether it is signed or not.
    pub(super) fn number(&self, bits: u64) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.hash(&bits.to_le_bytes());
        u64::from_le_bytes([a, b, c, d, e, f, g, h]) >> 2
    }

    fn digits(&self, of: &[u8], digits: usize) -> String {
        self.hash(of).iter().take(digits / 2).map(|byte| format!("{byte:02x}")).collect()
    }

    fn hash(&self, of: &[u8]) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(of);
        mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_usual_one() {
        // RFC 4231, test case 2.
        let hash = Pseudonyms::new(b"Jefe").hash(b"what do ya want for nothing?");
        assert_eq!(hash[..8], [0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e]);
    }

    #[test]
    fn names_keep_their_form() {
        let pseudonyms = Pseudonyms::new(b"secret");
        let [begin, end] = ["beg_my_work", "end_my_work"].map(|name| pseudonyms.name(name));
        assert_eq!(begin.strip_prefix("beg_"), end.strip_prefix("end_"));
        assert_eq!(begin.len(), "beg_".len() + 2 * (NAME_DIGITS + 1) + 1, "{begin}");
        assert!(!begin.contains("my") && !begin.contains("work"), "{begin}");
        assert_eq!(pseudonyms.name("start__done"), "start__done");
        assert_eq!(pseudonyms.name(""), "");
        assert!(pseudonyms.name("request__begin").ends_with("__begin"));
        for (name, word) in [("queryStart", "Start"), ("beginFrame", "begin"), ("QUERY_DONE", "DONE")] {
            let kept: Vec<String> = [name, &pseudonyms.name(name)]
                .map(|name| pieces(name).find(|(it, _)| *it == word).map(|(it, _)| it.to_owned()))
                .into_iter()
                .flatten()
                .collect();
            assert_eq!(kept, [word, word], "{name}");
        }
        assert_ne!(Pseudonyms::new(b"other").name("work"), pseudonyms.name("work"));
    }

    #[test]
    fn numbers_are_positive() {
        let pseudonyms = Pseudonyms::new(b"secret");
        for bits in [0, 1, u64::MAX] {
            assert!(pseudonyms.number(bits).cast_signed() >= 0);
            assert_ne!(pseudonyms.number(bits), bits);
        }
    }
}
