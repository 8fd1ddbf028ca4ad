//! How the arguments of a site are read: what the BPF program does, and what is left to do with the words it sends.

use tracer_format::ArgKind;

use crate::abi::{
    ArgumentSpec, HAS_BASE, HAS_INDEX, IN_MEMORY, IS_STRING, MAX_ARGUMENTS, MAX_STRING_BYTES, SHAPE_EMPTY,
    SHAPE_ONE_REGISTER, SHAPE_STRINGS, SHAPE_VALUES, SiteSpec,
};
use crate::arch::register::WORDS;
use crate::kernel::raw::Raw;
use crate::site::argument::{Argument, Location};

/// Where the value of one argument comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// Known beforehand.
    Constant(u64),
    /// A word of the raw event, shifted to the right by so many bits.
    Word { index: usize, shift: u8 },
    /// A word of the raw event that stands for a string.
    Text { index: usize },
    /// Nobody can read it.
    Nowhere,
}

/// How the values of one site are made from its raw events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    origins: Vec<(ArgKind, Origin)>,
}

/// A site that the eBPF program knows, on its way to the trace.
#[derive(Debug, Clone)]
pub struct PlannedSite {
    /// How its values are made.
    pub plan: Plan,
    /// What the trace says of it.
    pub site: tracer_format::Site,
}

/// Values of one event, ready for the trace.
#[derive(Debug, Clone, Default)]
pub struct Values {
    /// One for each argument.
    pub values: Vec<u64>,
    /// Bit k set: argument k could not be read.
    pub unreadable: u16,
    text: Vec<u8>,
}

impl Plan {
    /// Splits the work for `arguments` between the BPF program and the recorder.
    #[must_use]
    pub fn new(arguments: &[Argument]) -> (Self, SiteSpec) {
        let mut spec = SiteSpec::default();
        let mut origins = Vec::with_capacity(arguments.len());
        for argument in arguments.iter().take(MAX_ARGUMENTS) {
            let is_text = argument.kind == ArgKind::Str;
            let origin = match argument.location {
                Location::Constant(value) if !is_text => Origin::Constant(value.cast_unsigned()),
                Location::Register { slot, shift } if usize::from(slot) < WORDS.len() => {
                    let flags = if is_text { IS_STRING } else { 0 };
                    let spec_of =
                        ArgumentSpec { flags, base: WORDS[usize::from(slot)], ..ArgumentSpec::default() };
                    word(&mut spec, spec_of, is_text, shift)
                }
                Location::Memory { base, index, scale_log2, displacement } => {
                    let size_bytes = size_bytes(argument.kind);
                    match memory(base, index) {
                        Some(spec_of) => {
                            let flags = spec_of.flags | if is_text { IS_STRING } else { 0 };
                            let spec_of =
                                ArgumentSpec { displacement, scale_log2, size_bytes, flags, ..spec_of };
                            word(&mut spec, spec_of, is_text, 0)
                        }
                        None => Origin::Nowhere,
                    }
                }
                _ => Origin::Nowhere,
            };
            origins.push((argument.kind, origin));
        }
        spec.shape = match &spec.arguments[..usize::from(spec.count)] {
            [] => SHAPE_EMPTY,
            read if read.iter().any(|argument| argument.flags & IS_STRING != 0) => SHAPE_STRINGS,
            [one] if one.flags & IN_MEMORY == 0 => SHAPE_ONE_REGISTER,
            _ => SHAPE_VALUES,
        };
        (Self { origins }, spec)
    }

    /// Makes the values of one raw event; `intern` gives the value that stands for a string, of which only the beginning was
    /// read if its second argument is true.
    pub fn values(&self, raw: &Raw<'_>, out: &mut Values, mut intern: impl FnMut(&[u8], bool) -> u64) {
        out.values.clear();
        out.unreadable = 0;
        for (at, &(kind, origin)) in self.origins.iter().enumerate() {
            let value = match origin {
                Origin::Constant(value) => Some(extend(value, kind)),
                Origin::Word { index, shift } => match raw.words.get(index) {
                    Some(word) if raw.unreadable >> index & 1 == 0 => Some(extend(word >> shift, kind)),
                    _ => None,
                },
                Origin::Text { index } => {
                    out.text.clear();
                    // One of the greatest length may go on: the program did not see its end.
                    raw.string(index, &mut out.text)
                        .then(|| intern(&out.text, out.text.len() + 1 >= MAX_STRING_BYTES))
                }
                Origin::Nowhere => None,
            };
            out.unreadable |= u16::from(value.is_none()) << at;
            out.values.push(value.unwrap_or(0));
        }
    }
}

/// Has the program send one more word.
fn word(spec: &mut SiteSpec, argument: ArgumentSpec, is_text: bool, shift: u8) -> Origin {
    let index = usize::from(spec.count);
    spec.arguments[index] = argument;
    spec.count += 1;
    if is_text { Origin::Text { index } } else { Origin::Word { index, shift } }
}

fn memory(base: Option<u8>, index: Option<u8>) -> Option<ArgumentSpec> {
    let mut spec = ArgumentSpec { flags: IN_MEMORY, ..ArgumentSpec::default() };
    if let Some(slot) = base {
        spec.flags |= HAS_BASE;
        spec.base = *WORDS.get(usize::from(slot))?;
    }
    if let Some(slot) = index {
        spec.flags |= HAS_INDEX;
        spec.index = *WORDS.get(usize::from(slot))?;
    }
    Some(spec)
}

/// Bytes to read from memory; of a string, those of its address.
fn size_bytes(kind: ArgKind) -> u8 {
    match kind {
        ArgKind::Signed(size) | ArgKind::Unsigned(size) | ArgKind::Float(size) => size,
        ArgKind::Str | ArgKind::Unknown(_) => 8,
    }
}

/// Cuts a word to the argument's size and extends it to 64 bits.
fn extend(word: u64, kind: ArgKind) -> u64 {
    let unused = |size: u8| 64 - 8 * u32::from(size.clamp(1, 8));
    match kind {
        ArgKind::Signed(size) => (word.cast_signed() << unused(size) >> unused(size)).cast_unsigned(),
        ArgKind::Unsigned(size) | ArgKind::Float(size) => word << unused(size) >> unused(size),
        ArgKind::Str | ArgKind::Unknown(_) => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::raw::tests::event;

    fn argument(kind: ArgKind, location: Location) -> Argument {
        Argument { kind, location }
    }

    fn values(arguments: &[Argument], words: &[u64]) -> (Vec<u64>, u16) {
        let (plan, _) = Plan::new(arguments);
        let mut out = Values::default();
        let event = event(1, 0, words);
        plan.values(&Raw::parse(0, &event).expect("an event"), &mut out, |_, _| 77);
        (out.values, out.unreadable)
    }

    #[test]
    fn words_are_cut_and_extended_as_their_kind_says() {
        let register = Location::Register { slot: 0, shift: 0 };
        let high = Location::Register { slot: 0, shift: 8 };
        let minus = |value: i64| value.cast_unsigned();
        for (kind, location, word, value) in [
            (ArgKind::Signed(1), register, 0x1234_56ff, minus(-1)),
            (ArgKind::Unsigned(1), register, 0x1234_56ff, 0xff),
            (ArgKind::Signed(1), high, 0x1234_8056, minus(-128)),
            (ArgKind::Signed(2), register, 0xffff_8000, minus(-0x8000)),
            (ArgKind::Signed(4), register, 0x1_8000_0000, minus(-0x8000_0000)),
            (ArgKind::Unsigned(4), register, 0x1_8000_0000, 0x8000_0000),
            (ArgKind::Signed(8), register, u64::MAX, u64::MAX),
        ] {
            assert_eq!(values(&[argument(kind, location)], &[word]), (vec![value], 0), "{kind:?}");
        }
    }

    #[test]
    fn constants_and_unreadable_arguments_cost_no_word() {
        let arguments = [
            argument(ArgKind::Signed(4), Location::Constant(-1)),
            argument(ArgKind::Float(8), Location::Vector(0)),
            argument(ArgKind::Unsigned(8), Location::Register { slot: 5, shift: 0 }),
        ];
        let (_, spec) = Plan::new(&arguments);
        assert_eq!((spec.count, spec.shape), (1, SHAPE_ONE_REGISTER));
        assert_eq!(values(&arguments, &[9]), (vec![u64::MAX, 0, 9], 0b010));
    }

    #[test]
    fn memory_goes_to_the_program() {
        let location = Location::Memory { base: Some(4), index: Some(1), scale_log2: 3, displacement: -8 };
        let (_, spec) = Plan::new(&[argument(ArgKind::Signed(4), location)]);
        let expected = ArgumentSpec {
            displacement: -8,
            flags: IN_MEMORY | HAS_BASE | HAS_INDEX,
            base: WORDS[4],
            index: WORDS[1],
            scale_log2: 3,
            size_bytes: 4,
            reserved: [0; 3],
        };
        assert_eq!((spec.shape, spec.arguments[0]), (SHAPE_VALUES, expected));
    }

    #[test]
    fn strings_are_interned() {
        let text = argument(ArgKind::Str, Location::Register { slot: 0, shift: 0 });
        let words = [8 << 32 | 3, u64::from_le_bytes(*b"abc.....")];
        let event = event(1, 0, &words);
        let (plan, spec) = Plan::new(&[text]);
        assert_eq!(spec.shape, SHAPE_STRINGS);
        let mut out = Values::default();
        plan.values(&Raw::parse(0, &event).expect("an event"), &mut out, |text, is_cut| {
            assert_eq!((text, is_cut), (&b"abc"[..], false));
            5
        });
        assert_eq!((out.values, out.unreadable), (vec![5], 0));
    }
}
