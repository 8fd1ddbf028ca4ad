//! Operands of x86-64 in AT&T syntax: `%rdi`, `$-1`, `60(%rax)`, `8(%rax,%rbx,4)`, `40+counter(%rip)`.

use tracer_format::ArgKind;

use super::{Location, SpecContext, Sum, number, size_bytes};

/// Slot of the instruction pointer.
const RIP: u8 = 16;

/// Names of one register, from 64 bits down to 8, by slot.
const REGISTERS: [[&str; 4]; 16] = [
    ["rax", "eax", "ax", "al"],
    ["rbx", "ebx", "bx", "bl"],
    ["rcx", "ecx", "cx", "cl"],
    ["rdx", "edx", "dx", "dl"],
    ["rsi", "esi", "si", "sil"],
    ["rdi", "edi", "di", "dil"],
    ["rbp", "ebp", "bp", "bpl"],
    ["rsp", "esp", "sp", "spl"],
    ["r8", "r8d", "r8w", "r8b"],
    ["r9", "r9d", "r9w", "r9b"],
    ["r10", "r10d", "r10w", "r10b"],
    ["r11", "r11d", "r11w", "r11b"],
    ["r12", "r12d", "r12w", "r12b"],
    ["r13", "r13d", "r13w", "r13b"],
    ["r14", "r14d", "r14w", "r14b"],
    ["r15", "r15d", "r15w", "r15b"],
];

/// Bits 8 to 15 of the first four registers.
const HIGH_BYTES: [&str; 4] = ["ah", "bh", "ch", "dh"];

/// Where an operand is; `None` if it is not understood.
pub(super) fn operand(text: &str, kind: ArgKind, place: &SpecContext<'_>) -> Option<Location> {
    if let Some(value) = text.strip_prefix('$') {
        let address = || displacement(Sum::parse(value).filter(|sum| sum.symbol.is_some())?, None, place);
        return number(value).or_else(address).map(Location::Constant);
    }
    if let Some(text) = text.strip_prefix("%fs:") {
        return of_thread(text, place);
    }
    match text.strip_prefix('%') {
        // Another segment override, which Linux has no use for.
        Some(name) if name.contains(':') => None,
        Some(name) => register(name, kind),
        None => memory(text, place),
    }
}

/// An address relative to the memory of the thread: `counter@tpoff`, `8+counter@tpoff`, `16(%rax)`, `40`.
fn of_thread(text: &str, place: &SpecContext<'_>) -> Option<Location> {
    let (sum, registers) = text.find('(').map_or((text, ""), |at| text.split_at(at));
    let (before, after) = sum.split_once("@tpoff").unwrap_or((sum, ""));
    let sum = format!("{before}{after}");
    let sum = Sum::parse(&sum)?;
    let offset = match sum.symbol {
        Some(symbol) if text.contains("@tpoff") => (place.thread_symbol)(symbol)?,
        None if !text.is_empty() && !text.contains("@tpoff") => 0,
        _ => return None,
    };
    let displacement = offset.checked_add(sum.number)?;
    let location = if registers.is_empty() {
        Location::Memory { base: None, index: None, scale_log2: 0, displacement, of_thread: true }
    } else {
        memory(&format!("{displacement}{registers}"), place)?
    };
    match location {
        // The distance from the instruction is none from the thread.
        Location::Memory { base: Some(RIP), .. } => None,
        Location::Memory { base, index, scale_log2, displacement, .. } => {
            Some(Location::Memory { base, index, scale_log2, displacement, of_thread: true })
        }
        other => Some(other),
    }
}

fn register(name: &str, kind: ArgKind) -> Option<Location> {
    if let Some(slot) = position(|slot| REGISTERS[slot].contains(&name), REGISTERS.len()) {
        return Some(Location::Register { slot, shift: 0 });
    }
    if let Some(slot) = position(|slot| HIGH_BYTES[slot] == name, HIGH_BYTES.len()) {
        // More than the one byte would be bits of the wider register.
        return (size_bytes(kind) == 1).then_some(Location::Register { slot, shift: 8 });
    }
    let vector = ["xmm", "ymm", "zmm"].iter().find_map(|prefix| name.strip_prefix(prefix))?;
    let number = vector.parse().ok().filter(|number| *number < 32 && !vector.starts_with('+'))?;
    Some(Location::Vector(number))
}

fn position(is: impl Fn(usize) -> bool, count: usize) -> Option<u8> {
    u8::try_from((0..count).find(|slot| is(*slot))?).ok()
}

/// `DISPLACEMENT(BASE,INDEX,SCALE)`, or a plain address.
fn memory(text: &str, place: &SpecContext<'_>) -> Option<Location> {
    let (sum, registers) = match text.split_once('(') {
        Some((sum, rest)) => (sum, rest.strip_suffix(')')?),
        None => (text, ""),
    };
    let sum = Sum::parse(sum)?;
    let mut parts = registers.split(',').map(str::trim);
    let base = parts.next().filter(|part| !part.is_empty()).map(address_register);
    let index = parts.next().filter(|part| !part.is_empty()).map(address_register);
    let scale_log2 = match parts.next() {
        None | Some("" | "1") => 0,
        Some("2") => 1,
        Some("4") => 2,
        Some("8") => 3,
        Some(_) => return None,
    };
    let (base, index) =
        (base.map_or(Some(None), |slot| slot.map(Some))?, index.map_or(Some(None), |slot| slot.map(Some))?);
    if parts.next().is_some() || index == Some(RIP) || (base == Some(RIP) && index.is_some()) {
        return None;
    }
    // Neither symbol nor register: `60` alone is an absolute address that no compiler writes.
    if base.is_none() && index.is_none() && sum.symbol.is_none() {
        return None;
    }
    let displacement = displacement(sum, base, place)?;
    Some(Location::Memory { base, index, scale_log2, displacement, of_thread: false })
}

/// Slot of a 64-bit register; narrower ones would need their upper bits cleared.
fn address_register(text: &str) -> Option<u8> {
    match text.strip_prefix('%')? {
        "rip" => Some(RIP),
        name => position(|slot| REGISTERS[slot][0] == name, REGISTERS.len()),
    }
}

fn displacement(sum: Sum<'_>, base: Option<u8>, place: &SpecContext<'_>) -> Option<i64> {
    let Some(symbol) = sum.symbol else { return Some(sum.number) };
    let address = (place.symbol)(symbol)?.wrapping_add_signed(sum.number);
    match base {
        Some(RIP) => Some(address.wrapping_sub(place.site_address).cast_signed()),
        // An absolute address is known only where the file is loaded as linked.
        _ if place.position_independent => None,
        _ => Some(address.cast_signed()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Argument, parse};
    use super::*;
    use crate::arch::machine::Machine;

    fn place(position_independent: bool) -> SpecContext<'static> {
        SpecContext {
            machine: Machine::X86_64,
            site_address: 0x1000,
            position_independent,
            symbol: &|name| (name == "counter").then_some(0x4000),
            thread_symbol: &|name| (name == "mine").then_some(-8),
        }
    }

    fn argument(spec: &str) -> Argument {
        let parsed = parse(spec, &place(true));
        assert_eq!(parsed.problem, None, "{spec}");
        assert_eq!(parsed.arguments.len(), 1, "{spec}");
        parsed.arguments[0]
    }

    fn memory_at(base: Option<u8>, index: Option<u8>, scale_log2: u8, displacement: i64) -> Location {
        Location::Memory { base, index, scale_log2, displacement, of_thread: false }
    }

    #[test]
    fn every_documented_form_is_understood() {
        use ArgKind::{Float, Signed, Unsigned};
        let register = |slot, shift| Location::Register { slot, shift };
        for (spec, kind, location) in [
            ("-8@%rdi", Signed(8), register(5, 0)),
            ("4@%ebx", Unsigned(4), register(1, 0)),
            ("-2@%cx", Signed(2), register(2, 0)),
            ("1@%dil", Unsigned(1), register(5, 0)),
            ("1@%ah", Unsigned(1), register(0, 8)),
            ("-1@%dh", Signed(1), register(3, 8)),
            ("-4@%r15d", Signed(4), register(15, 0)),
            ("8@%eax", Unsigned(8), register(0, 0)),
            ("-4@60(%rax)", Signed(4), memory_at(Some(0), None, 0, 60)),
            ("8@(%rsp)", Unsigned(8), memory_at(Some(7), None, 0, 0)),
            ("8@-0x10(%r8)", Unsigned(8), memory_at(Some(8), None, 0, -16)),
            ("8@(%rax,%rbx,4)", Unsigned(8), memory_at(Some(0), Some(1), 2, 0)),
            ("1@-96(%rbp,%rax)", Unsigned(1), memory_at(Some(6), Some(0), 0, -96)),
            ("8@-8(,%rbx,8)", Unsigned(8), memory_at(None, Some(1), 3, -8)),
            ("8@(%rax, %rbx, 2)", Unsigned(8), memory_at(Some(0), Some(1), 1, 0)),
            ("-4@$1", Signed(4), Location::Constant(1)),
            ("8@$0x10", Unsigned(8), Location::Constant(16)),
            ("1@$-1", Unsigned(1), Location::Constant(255)),
            ("-4@40+counter(%rip)", Signed(4), memory_at(Some(16), None, 0, 0x3028)),
            ("8@counter+8(%rip)", Unsigned(8), memory_at(Some(16), None, 0, 0x3008)),
            ("4@counter-4(%rip)", Unsigned(4), memory_at(Some(16), None, 0, 0x2ffc)),
            ("counter(%rip)", Unsigned(8), memory_at(Some(16), None, 0, 0x3000)),
            ("8@16(%rip)", Unsigned(8), memory_at(Some(16), None, 0, 16)),
            ("4f@%xmm0", Float(4), Location::Vector(0)),
            ("8f@%xmm15", Float(8), Location::Vector(15)),
            ("8f@-8(%rbp)", Float(8), memory_at(Some(6), None, 0, -8)),
            ("8f@%rax", Float(8), register(0, 0)),
            ("%rdi", Unsigned(8), register(5, 0)),
            ("-8(%rbp)", Unsigned(8), memory_at(Some(6), None, 0, -8)),
        ] {
            assert_eq!(argument(spec), Argument { kind, location }, "{spec}");
        }
    }

    #[test]
    fn all_register_names_are_known() {
        for (slot, names) in REGISTERS.iter().enumerate() {
            for name in names {
                let slot = u8::try_from(slot).unwrap();
                assert_eq!(argument(&format!("8@%{name}")).location, Location::Register { slot, shift: 0 });
            }
        }
    }

    #[test]
    fn absolute_addresses_count_only_where_the_file_is_loaded_as_linked() {
        for (spec, expected) in [
            ("4@counter", memory_at(None, None, 0, 0x4000)),
            ("4@counter(,%rax,4)", memory_at(None, Some(0), 2, 0x4000)),
            ("4@counter+8(%rbx)", memory_at(Some(1), None, 0, 0x4008)),
        ] {
            let fixed = parse(spec, &place(false));
            assert_eq!((fixed.arguments[0].location, fixed.problem), (expected, None), "{spec}");
            assert_eq!(parse(spec, &place(true)).arguments[0].location, Location::Unreadable, "{spec}");
        }
    }

    #[test]
    fn what_is_relative_to_the_thread_is_understood() {
        for (spec, base, displacement) in [
            ("-4@%fs:mine@tpoff", None, -8),
            ("-4@%fs:4+mine@tpoff", None, -4),
            ("-4@%fs:mine@tpoff+4", None, -4),
            ("-4@%fs:mine@tpoff(%rbx)", Some(1), -8),
            ("-4@%fs:(%rax)", Some(0), 0),
            ("-4@%fs:16(%rax)", Some(0), 16),
            ("-4@%fs:40", None, 40),
        ] {
            let location =
                Location::Memory { base, index: None, scale_log2: 0, displacement, of_thread: true };
            assert_eq!(argument(spec).location, location, "{spec}");
        }
    }

    #[test]
    fn the_address_of_a_symbol_is_a_constant_where_the_file_is_loaded_as_linked() {
        let fixed = parse("8@$counter+8", &place(false));
        assert_eq!((fixed.arguments[0].location, fixed.problem), (Location::Constant(0x4008), None));
    }

    #[test]
    fn what_is_not_understood_is_unreadable_and_said_once() {
        for operand in [
            "%fs:",
            "%fs:mine",
            "%fs:counter@tpoff",
            "%fs:mine@tpoff(%rip)",
            "%fs:mine@tpoff@tpoff",
            "%fs:mine@dtpoff",
            "%fs:4@tpoff",
            "%fs:%rax",
            "%gs:counter",
            "%st(0)",
            "%mm0",
            "%k1",
            "%xmm32",
            "%xmm",
            "%xmm+1",
            "%",
            "",
            "$",
            "$counter",
            "$1.5",
            "(%rax",
            "%rax)",
            "()",
            "(,)",
            "(%rax,%rbx,3)",
            "(%rax,%rbx,4,1)",
            "8(%eax)",
            "8(rax)",
            "(%rax,%rip)",
            "(%rip,%rax)",
            "60",
            "missing(%rip)",
            "counter@GOTPCREL(%rip)",
            "a+b(%rip)",
            "*%rax",
            "x0",
            "(%rax)(%rbx)",
            "é(%rip)",
            "%é",
        ] {
            let spec = format!("8@{operand} 4@%eax");
            let parsed = parse(&spec, &place(true));
            assert_eq!(parsed.arguments[0].location, Location::Unreadable, "{spec}");
            assert!(parsed.problem.unwrap().starts_with("arg0 "), "{spec}");
            if !operand.contains(['(', ')']) || operand.matches('(').count() == operand.matches(')').count() {
                assert_eq!(parsed.arguments[1].location, Location::Register { slot: 0, shift: 0 }, "{spec}");
            }
        }
        for spec in ["16@%rax", "3@%rax", "2f@%xmm0", "2@%ah", "-@%rax", "@%rax"] {
            assert_eq!(parse(spec, &place(true)).arguments[0].location, Location::Unreadable, "{spec}");
        }
        let problem = parse("4@%eax 8@%gs:0 8@%gs:8", &place(true)).problem;
        assert_eq!(problem.as_deref(), Some("arg1 '8@%gs:0' cannot be read"));
    }

    #[test]
    fn twelve_arguments_are_read_and_a_thirteenth_is_reported() {
        let twelve = ["-4@%edi"; 12].join(" ");
        let parsed = parse(&twelve, &place(true));
        assert_eq!((parsed.arguments.len(), parsed.problem), (12, None));
        let parsed = parse(&format!("{twelve} 8@%rax"), &place(true));
        assert_eq!(parsed.arguments.len(), 12);
        assert_eq!(parsed.problem.as_deref(), Some("more than 12 arguments, the rest is left out"));
    }
}
