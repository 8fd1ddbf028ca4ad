//! Atomic operations on map values. Other tasks run this program on other CPUs, and may preempt it on this one; the
//! Rust target offers no atomic type that modifies memory.

use core::arch::asm;

/// Adds `add` to `*at` and returns the value before.
///
/// # Safety
/// `at` points to an aligned u64 in a map value.
#[inline(always)]
pub unsafe fn fetch_add(at: *mut u64, add: u64) -> u64 {
    let mut value = add;
    // SAFETY: the caller vouches for `at`.
    unsafe {
        asm!("{value} = atomic_fetch_add((u64 *)({at} + 0), {value})",
            value = inout(reg) value, at = in(reg) at, options(nostack));
    }
    value
}

/// Stores `new` in `*at` and returns the value before.
///
/// # Safety
/// `at` points to an aligned u64 in a map value.
#[inline(always)]
pub unsafe fn swap(at: *mut u64, new: u64) -> u64 {
    let mut value = new;
    // SAFETY: the caller vouches for `at`.
    unsafe {
        asm!("{value} = xchg_64({at} + 0, {value})",
            value = inout(reg) value, at = in(reg) at, options(nostack));
    }
    value
}
