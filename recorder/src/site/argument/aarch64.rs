//! Operands of aarch64: `x0`, `5`, `[sp, 8]`, `[x1, x2, lsl 3]`.

use super::{Location, number};

/// Slot of the stack pointer.
const SP: u8 = 31;

/// Where an operand is; `None` if it is not understood.
pub(super) fn operand(text: &str) -> Option<Location> {
    if let Some(inside) = text.strip_prefix('[') {
        return memory(inside.strip_suffix(']')?);
    }
    if let Some(value) = immediate(text) {
        return Some(Location::Constant(value));
    }
    match text {
        "xzr" | "wzr" => Some(Location::Constant(0)),
        "wsp" => Some(Location::Register { slot: SP, shift: 0 }),
        _ => register(text, &["x", "w"])
            .map(|slot| Location::Register { slot, shift: 0 })
            .or_else(|| numbered(text, &["v", "q", "d", "s", "h", "b"], 32).map(Location::Vector)),
    }
}

/// `BASE`, `BASE, OFFSET`, `BASE, INDEX` or `BASE, INDEX, lsl SHIFT`; the rest of the grammar (`sxtw`, `:lo12:`) is not
/// an address that registers and a number give.
fn memory(text: &str) -> Option<Location> {
    let mut parts = text.split(',').map(str::trim);
    let base = register(parts.next()?, &["x"])?;
    let at = |index, scale_log2, displacement| Location::Memory {
        base: Some(base),
        index,
        scale_log2,
        displacement,
        of_thread: false,
    };
    let Some(second) = parts.next() else { return Some(at(None, 0, 0)) };
    let shift = parts.next();
    if parts.next().is_some() {
        return None;
    }
    if let Some(displacement) = immediate(second) {
        return shift.is_none().then_some(at(None, 0, displacement));
    }
    let scale_log2 = match shift {
        None => 0,
        Some(shift) => {
            u8::try_from(immediate(shift.strip_prefix("lsl")?.trim())?).ok().filter(|bits| *bits <= 3)?
        }
    };
    // As an index, 31 is not the stack pointer.
    let index = register(second, &["x"]).filter(|slot| *slot != SP)?;
    Some(at(Some(index), scale_log2, 0))
}

fn immediate(text: &str) -> Option<i64> {
    number(text.strip_prefix('#').unwrap_or(text))
}

/// Slot of a general register.
fn register(text: &str, prefixes: &[&str]) -> Option<u8> {
    match text {
        "sp" => Some(SP),
        "fp" => Some(29),
        "lr" => Some(30),
        _ => numbered(text, prefixes, 31),
    }
}

/// Number of a register: one of the prefixes, then a number below `count`.
fn numbered(text: &str, prefixes: &[&str], count: u8) -> Option<u8> {
    let digits = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix))?;
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse().ok())?
        .filter(|number| *number < count)
}

#[cfg(test)]
mod tests {
    use tracer_format::ArgKind::{self, Float, Signed, Unsigned};

    use super::super::{Argument, SpecContext, parse};
    use super::*;
    use crate::arch::machine::Machine;

    fn parsed(spec: &str) -> (Vec<Argument>, Option<String>) {
        let place = SpecContext {
            machine: Machine::Aarch64,
            site_address: 0,
            position_independent: true,
            symbol: &|_| Some(8),
            thread_symbol: &|_| Some(8),
        };
        let parsed = parse(spec, &place);
        (parsed.arguments, parsed.problem)
    }

    #[test]
    fn every_form_is_understood() {
        let register = |slot| Location::Register { slot, shift: 0 };
        let memory = |base, index, scale_log2, displacement| Location::Memory {
            base: Some(base),
            index,
            scale_log2,
            displacement,
            of_thread: false,
        };
        let cases: [(&str, ArgKind, Location); 17] = [
            ("-4@x0", Signed(4), register(0)),
            ("8@x30", Unsigned(8), register(30)),
            ("4@w7", Unsigned(4), register(7)),
            ("8@sp", Unsigned(8), register(31)),
            ("8@fp", Unsigned(8), register(29)),
            ("8@[sp, 8]", Unsigned(8), memory(31, None, 0, 8)),
            ("-4@[x29, #-16]", Signed(4), memory(29, None, 0, -16)),
            ("8@[x1]", Unsigned(8), memory(1, None, 0, 0)),
            ("8@[x1, x2]", Unsigned(8), memory(1, Some(2), 0, 0)),
            ("8@[x1,x2,lsl 3]", Unsigned(8), memory(1, Some(2), 3, 0)),
            ("4@[x1, x2, lsl #2]", Unsigned(4), memory(1, Some(2), 2, 0)),
            ("-4@5", Signed(4), Location::Constant(5)),
            ("-4@#-5", Signed(4), Location::Constant(-5)),
            ("8@xzr", Unsigned(8), Location::Constant(0)),
            ("8f@d0", Float(8), Location::Vector(0)),
            ("4f@s31", Float(4), Location::Vector(31)),
            ("8f@[sp, 16]", Float(8), memory(31, None, 0, 16)),
        ];
        for (spec, kind, location) in cases {
            assert_eq!(parsed(spec), (vec![Argument { kind, location }], None), "{spec}");
        }
        assert_eq!(parsed("-4@[sp, 8] 8@x1 4@5").0.len(), 3);
    }

    #[test]
    fn what_is_not_understood_is_unreadable() {
        for operand in [
            "x31",
            "w31",
            "x",
            "x+1",
            "d32",
            "[w0]",
            "[x0, w1, sxtw 2]",
            "[x0, x1, lsl 4]",
            "[x0, sp]",
            "[x0, 8, 1]",
            "[x0, x1, lsl 2, 1]",
            "[x0",
            "[]",
            "[x0, :lo12:counter]",
            "counter",
            "%rax",
            "[x0], 8",
            "[x0, 8]!",
        ] {
            let (arguments, problem) = parsed(&format!("8@{operand}"));
            assert!(arguments.iter().any(|argument| argument.location == Location::Unreadable), "{operand}");
            assert!(problem.is_some(), "{operand}");
        }
    }
}
