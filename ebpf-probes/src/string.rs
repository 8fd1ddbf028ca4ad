//! Sites with strings. The strings are read into a scratch buffer first; only then is their length known, and the
//! smallest class of event that holds them is reserved.

use core::arch::asm;
use core::ffi::c_void;
use core::ptr;

use aya_ebpf::helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_user, bpf_probe_read_user_str};

use crate::abi::{
    ArgumentSpec, HAS_LENGTH, HEADER_BYTES, IS_STRING, LENGTH_IS_SIGNED, MAX_ARGUMENTS, MAX_PAYLOAD_BYTES,
    SCRATCH_PAYLOAD_BYTES, SCRATCH_PER_CPU, STRING_ROOM, SiteSpec,
};
use crate::argument::{Registers, Word};
use crate::maps::{self, Scratch};
use crate::ring::{Event, lose};
use crate::{absent, argument, atomic};

/// All bits of an offset into the payload, and of the bytes that are read at a time; change nothing but what the verifier
/// knows.
const OFFSET_MASK: usize = MAX_PAYLOAD_BYTES.next_power_of_two() - 1;
pub const SIZE_MASK: usize = STRING_ROOM - 1;
const _: () = assert!(OFFSET_MASK + SIZE_MASK < SCRATCH_PAYLOAD_BYTES);

/// Reads the arguments of a site that has strings, and submits the event. With `MAY_WAIT`, memory that is not there yet is
/// brought in.
#[inline(always)]
pub fn fire<const MAY_WAIT: bool>(registers: &Registers, spec: &SiteSpec, event: &Event) {
    if !MAY_WAIT {
        assemble(registers, spec, event, Missing::IsSent);
    } else if !assemble(registers, spec, event, Missing::IsKept) {
        absent::bring_in(registers, spec);
        assemble(registers, spec, event, Missing::IsSent);
    }
}

/// What becomes of an event of which something could not be read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    IsSent,
    IsKept,
}

/// Reads the arguments into a buffer and submits the event, unless something is missing and it is kept: then false.
#[inline(always)]
fn assemble(registers: &Registers, spec: &SiteSpec, event: &Event, missing: Missing) -> bool {
    let scratch = take(event.cpu);
    if scratch.is_null() {
        // Four tasks preempted each other in the middle of this program: counted, like a full ring.
        lose(event.cpu, event.site, (event.pid_tid >> 32) as u32);
        return true;
    }
    let (unreadable, used) = gather(registers, spec, scratch);
    let is_sent = unreadable == 0 || missing == Missing::IsSent;
    if is_sent {
        submit(spec, event, scratch, unreadable, used);
    }
    // SAFETY: a pointer into a map value, aligned by its type; this program took the buffer and gives it back.
    unsafe { (&raw mut (*scratch).taken).write_volatile(0) };
    is_sent
}

/// Takes a buffer of this CPU; null if all are taken. All that is done with it is outside of this loop, or the verifier would
/// go through it for each buffer.
#[inline(always)]
fn take(cpu: u32) -> *mut Scratch {
    for i in 0..SCRATCH_PER_CPU {
        let Some(scratch) = maps::SCRATCH.get_ptr_mut(cpu * SCRATCH_PER_CPU + i) else { break };
        // SAFETY: a pointer into a map value, aligned by its type.
        if unsafe { atomic::swap(&raw mut (*scratch).taken, 1) } == 0 {
            return scratch;
        }
    }
    ptr::null_mut()
}

/// Reads all arguments into the buffer; the mask of those that could not be read, and the bytes that are used.
#[inline(always)]
fn gather(registers: &Registers, spec: &SiteSpec, scratch: *mut Scratch) -> (u16, usize) {
    let mut unreadable = spec.no_mask;
    let mut used = usize::from(spec.count) * 8;
    let mut before = Word { unreadable: 0, value: 0 };
    for i in 0..MAX_ARGUMENTS {
        if i >= usize::from(argument::count(spec)) {
            break;
        }
        let argument = &spec.arguments[i];
        let mut word = argument::read::<false>(registers, argument);
        if argument.flags & IS_STRING != 0 {
            word = read_string(scratch, &mut used, argument, word, before);
        }
        // SAFETY: i < MAX_ARGUMENTS, and the payload has room for that many words.
        unsafe { (&raw mut (*scratch).payload).cast::<u64>().add(i).write(word.value) };
        unreadable = registers.forget(u64::from(unreadable | word.unreadable << i)) as u16;
        used = registers.forget(used as u64) as usize;
        before = registers.forgotten(word);
    }
    (unreadable, used)
}

/// Appends the string at an address to the payload; it is not readable if its memory, its address or its length is not.
#[inline(always)]
fn read_string(
    scratch: *mut Scratch,
    used: &mut usize,
    argument: &ArgumentSpec,
    address: Word,
    before: Word,
) -> Word {
    let start = masked(*used, OFFSET_MASK);
    let most = usize::from(argument.max_bytes);
    // SAFETY: at most SIZE_MASK bytes are written from `start`, which leaves room for them.
    let target = unsafe { (&raw mut (*scratch).payload).cast::<u8>().add(start) }.cast();
    let source = address.value as *const c_void;
    let (unreadable, length) = if argument.flags & HAS_LENGTH == 0 {
        // Its NUL, or else one byte and a NUL that the helper puts there.
        let size = masked(most + 2, SIZE_MASK);
        // SAFETY: as above; the helper checks the address and fails instead of faulting.
        let status = unsafe { bpf_probe_read_user_str(target, size as u32, source) };
        (argument::is_negative(status), (status as usize).wrapping_sub(1))
    } else {
        let (missing, length) = length(argument, before);
        let size = masked(if length > most { most + 1 } else { length }, SIZE_MASK);
        // SAFETY: as above.
        let status = unsafe { bpf_probe_read_user(target, size as u32, source) };
        (missing | argument::is_negative(status), size)
    };
    let unreadable = unreadable | address.unreadable;
    // After an error the length does not matter, but the verifier must see its bounds.
    let length = if unreadable != 0 { 0 } else { length & SIZE_MASK };
    *used = start + length;
    Word { unreadable, value: (start as u64) << 32 | length as u64 }
}

/// The length of a string, from the word of the argument before, and 1 if there is none, else 0.
#[inline(always)]
pub fn length(argument: &ArgumentSpec, before: Word) -> (u16, usize) {
    let unused = u32::from(argument.length_unused_bits) & 63;
    let upper = before.value << unused;
    if argument.flags & LENGTH_IS_SIGNED == 0 {
        return (before.unreadable, (upper >> unused) as usize);
    }
    (before.unreadable | argument::is_negative(upper as i64), (upper >> unused) as usize)
}

/// A number whose bound the verifier sees where it is used. It forgets what a comparison said about a
/// register that is spilled before (Linux 6.1), but not what a mask says; the compiler knows that the mask changes
/// nothing, and would leave it out if it saw through the assembly.
#[inline(always)]
pub fn masked(number: usize, mask: usize) -> usize {
    let mut number = number;
    // SAFETY: no instruction.
    unsafe { asm!("/* {0} */", inout(reg) number, options(pure, nomem, nostack, preserves_flags)) };
    number & mask
}

/// Most bytes that are copied without a helper, which is quicker.
const MAX_INLINE_BYTES: usize = 104;

/// Submits what is in the buffer, of which so many bytes are used, as an event of the smallest class that holds them.
#[inline(always)]
fn submit(spec: &SiteSpec, event: &Event, scratch: *const Scratch, unreadable: u16, used: usize) {
    macro_rules! class {
        ($bytes:expr) => {
            if used <= $bytes {
                return submit_class::<{ HEADER_BYTES + $bytes }>(spec, event, scratch, unreadable);
            }
        };
    }
    class!(104);
    class!(232);
    class!(488);
    class!(1000);
    class!(2024);
    class!(4072);
    class!(8168);
    class!(16360);
    submit_class::<{ HEADER_BYTES + MAX_PAYLOAD_BYTES }>(spec, event, scratch, unreadable)
}

/// Copies the payload to an event of `BYTES` and submits it.
#[inline(always)]
fn submit_class<const BYTES: usize>(
    spec: &SiteSpec,
    event: &Event,
    scratch: *const Scratch,
    unreadable: u16,
) {
    let Some(slot) = event.reserve::<BYTES>() else { return };
    let bytes = BYTES - HEADER_BYTES;
    // SAFETY: the slot has room for the header and `bytes`, and so has the payload; both are aligned.
    unsafe {
        let target = slot.at.add(HEADER_BYTES).cast::<u64>();
        let source = (&raw const (*scratch).payload).cast::<u64>();
        if bytes <= MAX_INLINE_BYTES {
            ptr::copy_nonoverlapping(source, target, bytes / 8);
        } else {
            bpf_probe_read_kernel(target.cast(), bytes as u32, source.cast());
        }
    }
    slot.submit(event, argument::count(spec), unreadable);
}
