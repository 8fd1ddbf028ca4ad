//! Sites with C strings. The strings are read into a scratch buffer first; only then is their length known, and the
//! smallest class of event that holds them is reserved.

use core::arch::asm;
use core::ffi::c_void;

use aya_ebpf::helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_user_str};

use crate::abi::{
    HEADER_BYTES, IS_STRING, MAX_ARGUMENTS, MAX_PAYLOAD_BYTES, MAX_STRING_BYTES, SCRATCH_PAYLOAD_BYTES,
    SCRATCH_PER_CPU, SiteSpec,
};
use crate::argument::Word;
use crate::maps::{self, Scratch};
use crate::ring::{Event, lose};
use crate::{argument, atomic};

/// Offsets into the payload that leave room for one more string.
const LAST_START: usize = MAX_PAYLOAD_BYTES - MAX_STRING_BYTES;

/// All bits of an offset into the payload; changes nothing but what the verifier knows.
const OFFSET_MASK: usize = MAX_PAYLOAD_BYTES.next_power_of_two() - 1;
const _: () = assert!(OFFSET_MASK + MAX_STRING_BYTES <= SCRATCH_PAYLOAD_BYTES);

/// Reads the arguments of a site that has strings, and submits the event.
#[inline(always)]
pub fn fire(regs: *const u64, spec: &SiteSpec, event: &Event) {
    for i in 0..SCRATCH_PER_CPU {
        let Some(scratch) = maps::SCRATCH.get_ptr_mut(event.cpu * SCRATCH_PER_CPU + i) else { return };
        // SAFETY: a pointer into a map value, aligned by its type.
        let was_taken = unsafe { atomic::swap(&raw mut (*scratch).taken, 1) };
        if was_taken == 0 {
            assemble(regs, spec, event, scratch);
            // SAFETY: as above; this program took the buffer and gives it back.
            unsafe { (&raw mut (*scratch).taken).write_volatile(0) };
            return;
        }
    }
    // Four tasks preempted each other in the middle of this program: counted, like a full ring.
    lose(event.cpu, event.site);
}

#[inline(always)]
fn assemble(regs: *const u64, spec: &SiteSpec, event: &Event, scratch: *mut Scratch) {
    let mut unreadable = spec.no_mask;
    let mut used = usize::from(spec.count) * 8;
    for i in 0..MAX_ARGUMENTS {
        if i >= spec.count as usize {
            break;
        }
        let argument = &spec.arguments[i];
        let mut word = argument::read(regs, argument);
        if argument.flags & IS_STRING != 0 {
            // An address that could not be read is 0, from which no string can be read either.
            word = read_string(scratch, &mut used, word.value);
        }
        // SAFETY: i < MAX_ARGUMENTS, and the payload has room for that many words.
        unsafe { (&raw mut (*scratch).payload).cast::<u64>().add(i).write(word.value) };
        unreadable |= word.unreadable << i;
    }
    macro_rules! class {
        ($bytes:expr) => {
            if used <= $bytes {
                return submit::<{ HEADER_BYTES + $bytes }>(spec, event, scratch, unreadable);
            }
        };
    }
    class!(104);
    class!(232);
    class!(488);
    class!(1000);
    class!(MAX_PAYLOAD_BYTES);
}

/// Appends the string at `address` to the payload; it is not readable if its memory is not.
#[inline(always)]
fn read_string(scratch: *mut Scratch, used: &mut usize, address: u64) -> Word {
    let start = *used;
    if start > LAST_START {
        return Word { unreadable: 1, value: 0 };
    }
    let start = bounded(start);
    // SAFETY: at most MAX_STRING_BYTES are written from `start`, which leaves room for them; the helper checks the
    // address and fails instead of faulting.
    let status = unsafe {
        let target = (&raw mut (*scratch).payload).cast::<u8>().add(start);
        bpf_probe_read_user_str(target.cast(), MAX_STRING_BYTES as u32, address as *const c_void)
    };
    let unreadable = argument::is_negative(status);
    // The status counts the NUL. After an error the length does not matter, but the verifier must see its bounds.
    let length = (status as usize).wrapping_sub(1) & (MAX_STRING_BYTES - 1);
    let length = if unreadable != 0 { 0 } else { length };
    *used = start + length;
    Word { unreadable, value: (start as u64) << 32 | length as u64 }
}

/// An offset into the payload whose bound the verifier sees where it is used. It forgets what a comparison said about a
/// register that is spilled before (Linux 6.1), but not what a mask says; the compiler knows that the mask changes
/// nothing, and would leave it out if it saw through the assembly.
#[inline(always)]
fn bounded(offset: usize) -> usize {
    let mut offset = offset;
    // SAFETY: no instruction.
    unsafe { asm!("/* {0} */", inout(reg) offset, options(pure, nomem, nostack, preserves_flags)) };
    offset & OFFSET_MASK
}

/// Copies the payload to an event of `BYTES` and submits it.
#[inline(always)]
fn submit<const BYTES: usize>(spec: &SiteSpec, event: &Event, scratch: *const Scratch, unreadable: u16) {
    let Some(slot) = event.reserve::<BYTES>() else { return };
    // SAFETY: the slot has room for the header and BYTES - HEADER_BYTES, and so has the payload.
    unsafe {
        let target = slot.at.add(HEADER_BYTES);
        let source = (&raw const (*scratch).payload).cast::<c_void>();
        bpf_probe_read_kernel(target.cast(), (BYTES - HEADER_BYTES) as u32, source);
    }
    slot.submit(event, spec.count, unreadable);
}
