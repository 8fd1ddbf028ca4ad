//! Memory that the traced program has not touched yet, or that was put out of the way. To bring it in takes as long as a
//! disk or another program takes, and others fire on this CPU meanwhile: so nothing is held, no buffer and no slot of a
//! lane, and the event's time is read afterwards.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::{bpf_copy_from_user, bpf_probe_read_user_str};

use crate::abi::{ArgumentSpec, HAS_LENGTH, IS_STRING, MAX_ARGUMENTS, SiteSpec};
use crate::argument::{self, Registers, Word};
use crate::maps;
use crate::string::{self, SIZE_MASK};

/// Pages that the longest string may touch.
const MAX_PAGES: u64 = 3;
const PAGE_BYTES: u64 = 4096;

/// Brings in what the arguments of a site with strings lie in, as far as it is memory of the process.
#[inline(always)]
pub fn bring_in(registers: &Registers, spec: &SiteSpec) {
    let mut before = Word { unreadable: 0, value: 0 };
    for i in 0..MAX_ARGUMENTS {
        if i >= spec.count as usize {
            break;
        }
        let argument = &spec.arguments[i];
        let word = argument::read::<true>(registers, argument);
        // What lies below is no memory: a string that is NULL is common.
        if argument.flags & IS_STRING != 0 && word.value >= PAGE_BYTES {
            bring_in_string(argument, word.value, before);
        }
        before = word;
    }
}

/// The same for a string, no further than it is read.
#[inline(always)]
fn bring_in_string(argument: &ArgumentSpec, address: u64, before: Word) {
    let Some(sink) = maps::SINK.get_ptr_mut(0) else { return };
    let sink = sink.cast::<c_void>();
    let source = address as *const c_void;
    let most = usize::from(argument.max_bytes);
    if argument.flags & HAS_LENGTH != 0 {
        let (_, length) = string::length(argument, before);
        let size = string::masked(if length > most { most + 1 } else { length }, SIZE_MASK);
        // SAFETY: the sink has room for any such size; the helper checks the address.
        unsafe { bpf_copy_from_user(sink, size as u32, source) };
        return;
    }
    for page in 0..MAX_PAGES {
        let size = string::masked(most + 2, SIZE_MASK);
        // SAFETY: as above.
        if unsafe { bpf_probe_read_user_str(sink, size as u32, source) } >= 0 || !is_there(address, page) {
            return;
        }
    }
}

/// Whether page `page` of the string at `address` can be read; brings it in.
#[inline(always)]
fn is_there(address: u64, page: u64) -> bool {
    let next = (address & !(PAGE_BYTES - 1)).wrapping_add(page * PAGE_BYTES);
    let at = if page == 0 { address } else { next };
    let mut byte = 0u8;
    // SAFETY: `byte` has room for one; the helper checks the address.
    unsafe { bpf_copy_from_user((&raw mut byte).cast(), 1, at as *const c_void) == 0 }
}
