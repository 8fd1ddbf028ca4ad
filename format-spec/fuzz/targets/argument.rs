//! Any argument text of a note is understood or unreadable; what is understood is what the kernel's side can do.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tracer_format::limits::MAX_ARGUMENTS;
use tracer_recorder::arch::machine::Machine;
use tracer_recorder::site::argument::{Location, SpecContext, parse};

fuzz_target!(|spec: &str| {
    let symbol = |name: &str| (!name.is_empty()).then_some(0x40_1000);
    for (machine, slots) in [(Machine::X86_64, 17), (Machine::Aarch64, 32)] {
        for position_independent in [false, true] {
            let place = SpecContext {
                machine,
                site_address: 0x40_0000,
                position_independent,
                symbol: &symbol,
                thread_symbol: &|name| (!name.is_empty()).then_some(-8),
            };
            let parsed = parse(spec, &place);
            assert!(parsed.arguments.len() <= MAX_ARGUMENTS);
            for argument in &parsed.arguments {
                let slot = |slot: Option<u8>| slot.is_none_or(|slot| slot < slots);
                match argument.location {
                    Location::Register { slot: register, shift } => {
                        assert!(slot(Some(register)) && shift <= 8)
                    }
                    Location::Memory { base, index, scale_log2, .. } => {
                        assert!(slot(base) && slot(index) && scale_log2 <= 3);
                    }
                    Location::Unreadable => assert!(parsed.problem.is_some(), "unreadable in silence"),
                    Location::Constant(_) | Location::Vector(_) => {}
                }
            }
        }
    }
});
