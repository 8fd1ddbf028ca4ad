//! How the arguments of a site are read: what the BPF program does, and what is left to do with the words it sends.

use tracer_format::ArgKind;
use tracer_format::grammar::StringArgument;
use tracer_format::limits::MAX_STRING_ARGUMENT_BYTES;

use crate::abi::{
    ArgumentSpec, HAS_LENGTH, IN_MEMORY, IS_STRING, LENGTH_IS_SIGNED, MAX_ARGUMENTS, MAX_STRING_BYTES,
    NO_REGISTER, OF_THREAD, SHAPE_EMPTY, SHAPE_ONE_REGISTER, SHAPE_STRINGS, SHAPE_VALUES, SiteSpec,
};
use crate::arch::register::NUMBERS;
use crate::kernel::raw::Raw;
use crate::site::argument::{Argument, Location};

/// Where the value of one argument comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// Known beforehand.
    Constant(u64),
    /// A word of the raw event, shifted to the right by so many bits.
    Word { index: usize, shift: u8 },
    /// A word of the raw event that stands for a string, of which so many bytes are wanted.
    Text { index: usize, max_bytes: usize },
    /// It cannot be read.
    Nowhere,
}

const _: () = assert!(MAX_STRING_BYTES == MAX_STRING_ARGUMENT_BYTES);

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
    /// Splits the work for `arguments` between the BPF program and the recorder. Those that are strings are read as `strings`
    /// says.
    #[must_use]
    pub fn new(arguments: &[Argument], strings: &[StringArgument]) -> (Self, SiteSpec) {
        let arguments = &arguments[..arguments.len().min(MAX_ARGUMENTS)];
        let mut spec = SiteSpec::default();
        // The words of arguments that a string before them has for its length.
        let mut words = [None; MAX_ARGUMENTS];
        let mut origins = Vec::with_capacity(arguments.len());
        for (at, argument) in arguments.iter().enumerate() {
            let origin = match (argument.kind, argument.location) {
                (ArgKind::Str, _) => {
                    let string = strings.iter().find(|string| usize::from(string.position) == at);
                    let string = string.copied().unwrap_or(StringArgument::at(0));
                    text(&mut spec, arguments, argument, string, &mut words)
                }
                (_, Location::Constant(value)) => Some(Origin::Constant(value.cast_unsigned())),
                (_, location) => words[at]
                    .or_else(|| push(&mut spec, of(argument)?))
                    .map(|index| Origin::Word { index, shift: shift(location) }),
            };
            if let Some(Origin::Word { index, .. }) = origin {
                words[at] = Some(index);
            }
            origins.push((argument.kind, origin.unwrap_or(Origin::Nowhere)));
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
                Origin::Text { index, max_bytes } => {
                    out.text.clear();
                    raw.string(index, &mut out.text).then(|| {
                        // The program sends a byte more of one that goes on.
                        let is_cut = out.text.len() > max_bytes;
                        out.text.truncate(max_bytes);
                        intern(&out.text, is_cut)
                    })
                }
                Origin::Nowhere => None,
            };
            out.unreadable |= u16::from(value.is_none()) << at;
            out.values.push(value.unwrap_or(0));
        }
    }
}

/// Has the program send one more word, if there is room for it.
fn push(spec: &mut SiteSpec, argument: ArgumentSpec) -> Option<usize> {
    let index = usize::from(spec.count);
    *spec.arguments.get_mut(index)? = argument;
    spec.count += 1;
    Some(index)
}

/// Has the program send a string, behind the word with its length if it has one.
fn text(
    spec: &mut SiteSpec,
    arguments: &[Argument],
    argument: &Argument,
    string: StringArgument,
    words: &mut [Option<usize>; MAX_ARGUMENTS],
) -> Option<Origin> {
    let mut read = of(argument)?;
    read.flags |= IS_STRING;
    read.max_bytes = string.max_bytes;
    if let Some(at) = string.length.map(usize::from) {
        let length = arguments.get(at).filter(|length| shift(length.location) == 0)?;
        let size_bytes = size_bytes(length.kind);
        read.flags |= HAS_LENGTH;
        read.flags |= if matches!(length.kind, ArgKind::Signed(_)) { LENGTH_IS_SIGNED } else { 0 };
        read.length_unused_bits = 64 - 8 * size_bytes;
        if words[at].is_none_or(|index| index + 1 != usize::from(spec.count)) {
            words[at] = Some(push(spec, of(length)?)?);
        }
    }
    let max_bytes = usize::from(string.max_bytes);
    push(spec, read).map(|index| Origin::Text { index, max_bytes })
}

/// How the program reads an argument; `None` if it cannot.
fn of(argument: &Argument) -> Option<ArgumentSpec> {
    let number = |slot: u8| NUMBERS.get(usize::from(slot)).copied();
    let mut spec = ArgumentSpec {
        size_bytes: size_bytes(argument.kind),
        base: NO_REGISTER,
        index: NO_REGISTER,
        ..ArgumentSpec::default()
    };
    match argument.location {
        Location::Constant(value) => spec.displacement = value,
        Location::Register { slot, .. } => spec.base = number(slot)?,
        Location::Memory { base, index, scale_log2, displacement, of_thread } => {
            spec.flags = IN_MEMORY | if of_thread { OF_THREAD } else { 0 };
            (spec.displacement, spec.scale_log2) = (displacement, scale_log2);
            if let Some(slot) = base {
                spec.base = number(slot)?;
            }
            if let Some(slot) = index {
                spec.index = number(slot)?;
            }
        }
        Location::Vector(_) | Location::Unreadable => return None,
    }
    Some(spec)
}

/// Lower bits of a word that are not part of the argument.
fn shift(location: Location) -> u8 {
    if let Location::Register { shift, .. } = location { shift } else { 0 }
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
        let (plan, _) = Plan::new(arguments, &[]);
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
        let (_, spec) = Plan::new(&arguments, &[]);
        assert_eq!((spec.count, spec.shape), (1, SHAPE_ONE_REGISTER));
        assert_eq!(values(&arguments, &[9]), (vec![u64::MAX, 0, 9], 0b010));
    }

    #[test]
    fn memory_goes_to_the_program() {
        let location = Location::Memory {
            base: Some(4),
            index: Some(1),
            scale_log2: 3,
            displacement: -8,
            of_thread: true,
        };
        let (_, spec) = Plan::new(&[argument(ArgKind::Signed(4), location)], &[]);
        let expected = ArgumentSpec {
            displacement: -8,
            flags: IN_MEMORY | OF_THREAD,
            base: NUMBERS[4],
            index: NUMBERS[1],
            scale_log2: 3,
            size_bytes: 4,
            ..ArgumentSpec::default()
        };
        assert_eq!((spec.shape, spec.arguments[0]), (SHAPE_VALUES, expected));
    }

    /// What is made of an event with one string of these bytes, of which at most three are wanted.
    fn interned(bytes: &[u8]) -> (String, bool) {
        let text = argument(ArgKind::Str, Location::Register { slot: 0, shift: 0 });
        let mut room = [b'.'; 8];
        room[..bytes.len()].copy_from_slice(bytes);
        let event = event(1, 0, &[8 << 32 | bytes.len() as u64, u64::from_le_bytes(room)]);
        let (plan, spec) = Plan::new(&[text], &[StringArgument { max_bytes: 3, ..StringArgument::at(0) }]);
        assert_eq!((spec.shape, spec.arguments[0].max_bytes), (SHAPE_STRINGS, 3));
        let (mut out, mut interned) = (Values::default(), None);
        plan.values(&Raw::parse(0, &event).expect("an event"), &mut out, |text, is_cut| {
            interned = Some((String::from_utf8_lossy(text).into_owned(), is_cut));
            5
        });
        assert_eq!((out.values, out.unreadable), (vec![5], 0));
        interned.expect("a string")
    }

    #[test]
    fn only_a_string_that_goes_on_is_cut() {
        assert_eq!(interned(b"ab"), ("ab".to_owned(), false));
        assert_eq!(interned(b"abc"), ("abc".to_owned(), false));
        assert_eq!(interned(b"abcd"), ("abc".to_owned(), true));
    }

    #[test]
    fn a_length_stands_before_its_string_and_is_read_once() {
        let register = |slot| Location::Register { slot, shift: 0 };
        let pair = |position, length| StringArgument { length: Some(length), ..StringArgument::at(position) };
        let text = argument(ArgKind::Str, register(0));
        let number = argument(ArgKind::Signed(4), register(1));
        // Behind the string, before it, and as the length of two.
        for (arguments, strings, bases) in [
            (&[text, number][..], &[pair(0, 1)][..], &[1, 0][..]),
            (&[number, text], &[pair(1, 0)], &[1, 0]),
            (&[text, number, text], &[pair(0, 1), pair(2, 1)], &[1, 0, 1, 0]),
        ] {
            let (plan, spec) = Plan::new(arguments, strings);
            let read = &spec.arguments[..usize::from(spec.count)];
            let expected: Vec<u8> = bases.iter().map(|slot| NUMBERS[*slot]).collect();
            assert_eq!(read.iter().map(|argument| argument.base).collect::<Vec<_>>(), expected);
            assert_eq!(read[1].flags, IS_STRING | HAS_LENGTH | LENGTH_IS_SIGNED);
            assert_eq!(read[1].length_unused_bits, 32);
            let own = Origin::Word { index: 0, shift: 0 };
            assert_eq!(plan.origins.iter().filter(|(_, origin)| *origin == own).count(), 1);
        }
    }

    #[test]
    fn a_string_may_be_at_a_constant_address_and_have_a_constant_length() {
        let text = argument(ArgKind::Str, Location::Constant(0x40_2000));
        let length = argument(ArgKind::Unsigned(1), Location::Constant(200));
        let pair = StringArgument { length: Some(1), ..StringArgument::at(0) };
        let (plan, spec) = Plan::new(&[text, length], &[pair]);
        assert_eq!((spec.count, spec.arguments[0].displacement), (2, 200));
        assert_eq!((spec.arguments[1].displacement, spec.arguments[1].length_unused_bits), (0x40_2000, 56));
        assert_eq!(plan.origins[1].1, Origin::Constant(200));
    }

    #[test]
    fn a_string_whose_length_cannot_be_read_cannot_be_read() {
        let text = argument(ArgKind::Str, Location::Register { slot: 0, shift: 0 });
        for location in [Location::Vector(0), Location::Register { slot: 0, shift: 8 }] {
            let length = argument(ArgKind::Unsigned(1), location);
            let pair = StringArgument { length: Some(1), ..StringArgument::at(0) };
            let (plan, _) = Plan::new(&[text, length], &[pair]);
            assert_eq!(plan.origins[0].1, Origin::Nowhere);
        }
    }
}
