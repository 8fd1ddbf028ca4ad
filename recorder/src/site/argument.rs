//! Argument specs: where the arguments of a site are when it fires, such as `-4@60(%rax)`.
//!
//! A spec is `[-]SIZE[f]@OPERAND`: the size in bytes, negative if signed, with `f` if floating point, then the operand
//! as the assembler of the machine writes it. Compilers write it, so there are more forms than one thinks; one
//! that is not understood makes that argument [`Location::Unreadable`], never the site unusable and never a wrong value.

mod aarch64;
mod x86_64;

use tracer_format::ArgKind;
use tracer_format::limits::MAX_ARGUMENTS;

use crate::arch::machine::Machine;

/// Where the value of an argument is when the site fires.
///
/// Registers are numbered by slot. x86-64: 0 to 15 are rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8 to r15, and 16 is rip.
/// aarch64: 0 to 30 are x0 to x30, and 31 is sp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Location {
    /// Known beforehand; extended to 64 bits as the argument's kind says.
    Constant(i64),
    /// The low bytes of a register, as many as the argument's kind has, after a shift to the right.
    Register {
        /// Slot of the register.
        slot: u8,
        /// Bits: 8 for ah, bh, ch and dh, otherwise 0.
        shift: u8,
    },
    /// A vector register, which a BPF program cannot read.
    Vector(u8),
    /// Memory at base + index * 2^`scale_log2` + displacement; a missing register counts as 0.
    ///
    /// A symbol relative to the program counter has base rip (16) and the distance from the site as displacement.
    Memory {
        /// Slot of the base register.
        base: Option<u8>,
        /// Slot of the index register.
        index: Option<u8>,
        /// 0 to 3.
        scale_log2: u8,
        /// Bytes.
        displacement: i64,
        /// Whether all that is relative to the memory of the thread.
        of_thread: bool,
    },
    /// Somewhere that tracer does not understand.
    Unreadable,
}

/// One argument of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Argument {
    /// How its bits are to be read.
    pub kind: ArgKind,
    /// Where it is.
    pub location: Location,
}

/// What an operand can refer to beside registers.
#[derive(Clone, Copy)]
pub struct SpecContext<'a> {
    /// Processor, which decides the grammar.
    pub machine: Machine,
    /// Address of the site, as linked.
    pub site_address: u64,
    /// Whether addresses in the file are relative to where it is loaded.
    pub position_independent: bool,
    /// Address of a symbol of the same file, as linked.
    pub symbol: &'a dyn Fn(&str) -> Option<u64>,
    /// Distance of a thread-local symbol of the same file from what the thread's memory is addressed by.
    pub thread_symbol: &'a dyn Fn(&str) -> Option<i64>,
}

/// Arguments of a site, and how many of them are unreadable and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// At most [`MAX_ARGUMENTS`], in order.
    pub arguments: Vec<Argument>,
    /// What was not understood, first of all; `None` if everything was.
    pub problem: Option<String>,
}

/// Most characters of an operand in a message.
const MAX_SHOWN_CHARS: usize = 60;

/// Parses the argument text of a note. Never fails: what is not understood is unreadable.
#[must_use]
pub fn parse(spec: &str, place: &SpecContext<'_>) -> Parsed {
    let mut parsed = Parsed { arguments: Vec::new(), problem: None };
    for (position, text) in split(spec).enumerate() {
        if position == MAX_ARGUMENTS {
            let more = format!("more than {MAX_ARGUMENTS} arguments, the rest is left out");
            parsed.problem.get_or_insert(more);
            break;
        }
        let argument = parse_one(text, place);
        let argument = argument.unwrap_or_else(|| {
            parsed.problem.get_or_insert_with(|| format!("arg{position} '{}' cannot be read", begin(text)));
            // Eight bytes, because nothing is known of it.
            Argument { kind: ArgKind::Unsigned(8), location: Location::Unreadable }
        });
        parsed.arguments.push(argument);
    }
    parsed
}

/// The start of a text that may be long, for a message.
fn begin(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

fn parse_one(text: &str, place: &SpecContext<'_>) -> Option<Argument> {
    // Without a size it is a machine word.
    let (size, operand) = text.split_once('@').filter(|(size, _)| is_size(size)).unwrap_or(("8", text));
    let kind = kind(size)?;
    let location = match place.machine {
        Machine::X86_64 => x86_64::operand(operand, kind, place),
        Machine::Aarch64 => aarch64::operand(operand),
    };
    let location = match location.unwrap_or(Location::Unreadable) {
        Location::Constant(value) => Location::Constant(extend(value, kind)),
        Location::Unreadable => return None,
        location => location,
    };
    Some(Argument { kind, location })
}

/// Splits at the blanks that are outside of brackets: `-4@[sp, 8] 8@x1` are two.
fn split(spec: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    spec.split(move |c: char| {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && c.is_ascii_whitespace()
    })
    .filter(|text| !text.is_empty())
}

fn is_size(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let digits = digits.strip_suffix('f').unwrap_or(digits);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Kind of an argument with this size prefix.
fn kind(size: &str) -> Option<ArgKind> {
    let (signed, size) = size.strip_prefix('-').map_or((false, size), |size| (true, size));
    let (float, size) = size.strip_suffix('f').map_or((false, size), |size| (true, size));
    match (size.parse().ok()?, float) {
        (bytes @ (4 | 8), true) => Some(ArgKind::Float(bytes)),
        (bytes @ (1 | 2 | 4 | 8), false) if signed => Some(ArgKind::Signed(bytes)),
        (bytes @ (1 | 2 | 4 | 8), false) => Some(ArgKind::Unsigned(bytes)),
        _ => None,
    }
}

/// Bytes of a value of this kind; a string is its address.
#[must_use]
pub fn size_bytes(kind: ArgKind) -> u8 {
    match kind {
        ArgKind::Signed(bytes) | ArgKind::Unsigned(bytes) | ArgKind::Float(bytes) => bytes,
        ArgKind::Str | ArgKind::Unknown(_) => 8,
    }
}

/// Short name of a kind: `i32`, `u64`, `f64`, `str`.
#[must_use]
pub fn kind_name(kind: ArgKind) -> String {
    match kind {
        ArgKind::Signed(bytes) => format!("i{}", u32::from(bytes) * 8),
        ArgKind::Unsigned(bytes) => format!("u{}", u32::from(bytes) * 8),
        ArgKind::Float(bytes) => format!("f{}", u32::from(bytes) * 8),
        ArgKind::Str => "str".to_owned(),
        ArgKind::Unknown(_) => "?".to_owned(),
    }
}

/// The low bytes of a constant, extended as the kind says.
fn extend(value: i64, kind: ArgKind) -> i64 {
    let unused = 64 - 8 * u32::from(size_bytes(kind)).min(8);
    match kind {
        ArgKind::Signed(_) => value << unused >> unused,
        _ => (value.cast_unsigned() << unused >> unused).cast_signed(),
    }
}

/// Reads a whole number as assemblers write it: `-60`, `0x10`, `017`.
fn number(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let magnitude = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => digits_value(digits, 16)?,
        None if digits.len() > 1 && digits.starts_with('0') => digits_value(digits, 8)?,
        None => digits_value(digits, 10)?,
    };
    // Above i64::MAX it stands for the same 64 bits.
    let value = magnitude.cast_signed();
    Some(if negative { value.wrapping_neg() } else { value })
}

fn digits_value(digits: &str, radix: u32) -> Option<u64> {
    // Alone, from_str_radix would take a second sign.
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u64::from_str_radix(digits, radix).ok())?
}

/// A sum of numbers and at most one symbol: `40+counter`, `counter-8`, `counter.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Sum<'a> {
    symbol: Option<&'a str>,
    number: i64,
}

impl<'a> Sum<'a> {
    /// Parses a sum; an empty text is zero.
    fn parse(text: &'a str) -> Option<Self> {
        let mut sum = Sum::default();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let mut signs = rest.char_indices().skip(1).filter(|(_, c)| matches!(c, '+' | '-'));
            let end = signs.next().map_or(rest.len(), |(end, _)| end);
            let (term, tail) = rest.split_at(end);
            match number(term) {
                Some(value) => sum.number = sum.number.wrapping_add(value),
                None => {
                    let name = term.strip_prefix('+').unwrap_or(term);
                    if sum.symbol.replace(name).is_some() || !is_symbol(name) {
                        return None;
                    }
                }
            }
            rest = tail;
        }
        Some(sum)
    }
}

/// Whether the assembler takes this for the name of a symbol; `name@GOTPCREL` is another address than the symbol's.
fn is_symbol(text: &str) -> bool {
    let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || b"_.".contains(&byte));
    first && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.$".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_an_assembler_reads_them() {
        for (text, value) in [
            ("0", 0),
            ("-60", -60),
            ("+8", 8),
            ("0x10", 16),
            ("-0X1f", -31),
            ("017", 15),
            ("18446744073709551615", -1),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(number(text), Some(value), "{text}");
        }
        for text in ["", "-", "--1", "0x", "0x-1", "09", "1a", "x1", "18446744073709551616", "1 2", "é"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn sums_have_at_most_one_symbol() {
        let sum = |symbol, number| Some(Sum { symbol, number });
        assert_eq!(Sum::parse(""), sum(None, 0));
        assert_eq!(Sum::parse("-8+16"), sum(None, 8));
        assert_eq!(Sum::parse("40+counter.0"), sum(Some("counter.0"), 40));
        assert_eq!(Sum::parse("_c$-8"), sum(Some("_c$"), -8));
        for text in ["a+b", "-a", "a@GOTPCREL", "1+", "+", "a b", "é", "a+é"] {
            assert_eq!(Sum::parse(text), None, "{text}");
        }
    }

    #[test]
    fn blanks_inside_brackets_do_not_split() {
        let texts = |spec| split(spec).collect::<Vec<_>>();
        assert_eq!(texts(" -4@[sp, 8]  8@x1\t"), ["-4@[sp, 8]", "8@x1"]);
        assert_eq!(texts("8@(%rax, %rbx, 4) 1@%al"), ["8@(%rax, %rbx, 4)", "1@%al"]);
        assert_eq!(texts("8@(%rax 1@%al"), ["8@(%rax 1@%al"], "a bracket that never closes takes the rest");
        assert_eq!(texts(")) 1@%al"), ["))", "1@%al"]);
    }

    #[test]
    fn sizes_give_the_kind() {
        for (size, expected) in [
            ("1", ArgKind::Unsigned(1)),
            ("-2", ArgKind::Signed(2)),
            ("-8", ArgKind::Signed(8)),
            ("4f", ArgKind::Float(4)),
            ("-8f", ArgKind::Float(8)),
        ] {
            assert_eq!(kind(size), Some(expected), "{size}");
        }
        for size in ["0", "3", "16", "2f", "-", "f", "99999999999999999999", "--4"] {
            assert_eq!(kind(size), None, "{size}");
        }
    }

    #[test]
    fn constants_are_cut_to_their_size() {
        assert_eq!(extend(-1, ArgKind::Unsigned(1)), 255);
        assert_eq!(extend(0xff, ArgKind::Signed(1)), -1);
        assert_eq!(extend(-1, ArgKind::Unsigned(4)), 0xffff_ffff);
        assert_eq!(extend(i64::MIN, ArgKind::Signed(8)), i64::MIN);
        assert_eq!(extend(-1, ArgKind::Unsigned(8)), -1, "the same 64 bits");
    }
}
