//! Memory that the traced program has not touched yet, or that was put out of the way. To bring it in takes as long as a
//! disk or another program takes, and others fire on this CPU meanwhile: so nothing is held, no buffer and no slot of a
//! lane, and the event's time is read afterwards.

use core::ffi::c_void;

use aya_ebpf::helpers::bpf_get_smp_processor_id;
use aya_ebpf::helpers::generated::{bpf_copy_from_user, bpf_probe_read_user_str};

use crate::abi::{ArgumentSpec, HAS_LENGTH, IS_STRING, MAX_ARGUMENTS, SiteSpec};
use crate::argument::{self, Registers, Word};
use crate::string::{self, SIZE_MASK};
use crate::{atomic, maps};

/// Pages that the longest string may touch.
const MAX_PAGES: u64 = 3;
const PAGE_BYTES: u64 = 4096;

/// Brings in what the arguments of a site with strings lie in, as far as it is memory of the process.
#[inline(always)]
pub fn bring_in(registers: &Registers, spec: &SiteSpec) {
    let mut before = Word { unreadable: 0, value: 0 };
    for i in 0..MAX_ARGUMENTS {
        if i >= usize::from(argument::count(spec)) {
            break;
        }
        let argument = &spec.arguments[i];
        let word = argument::read::<true>(registers, argument);
        // What lies below is no memory: a string that is NULL is common.
        if argument.flags & IS_STRING != 0 && word.value >= PAGE_BYTES {
            bring_in_string(argument, word.value, before);
        }
        before = registers.forgotten(word);
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
        // SAFETY: the sink has room for any such size.
        unsafe { copy(sink, size as u32, source) };
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
    // SAFETY: `byte` has room for one.
    unsafe { copy((&raw mut byte).cast(), 1, at as *const c_void) == 0 }
}

/// Copies memory of the process, which may have to be brought in. Meanwhile this firing is counted as one that waits: if the memory
/// never comes, the recorder knows of it. Below zero if it cannot be read.
///
/// # Safety
/// `target` has room for so many bytes. A wrong source is an error.
#[inline(always)]
pub unsafe fn copy(target: *mut c_void, size_bytes: u32, source: *const c_void) -> i64 {
    // SAFETY: the helper has no precondition.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    let Some(control) = maps::LANES.get_ptr_mut(cpu) else { return -1 };
    // SAFETY: the control block is at the start of every lane; the caller vouches for the target, and the helper checks the source.
    unsafe {
        let waiting = &raw mut (*control).waiting;
        atomic::fetch_add(waiting, 1);
        let status = bpf_copy_from_user(target, size_bytes, source);
        atomic::fetch_add(waiting, u64::MAX);
        status
    }
}
