//! Registers as the kernel saves them when a site fires.

/// Where each slot of a location is in the kernel's `struct pt_regs`, in words of 8 bytes.
/// See `arch/x86/include/asm/ptrace.h`, and `arch/arm64/include/asm/ptrace.h`, where slot and word are the same.
#[cfg(target_arch = "x86_64")]
pub(crate) const WORDS: [u8; 17] = [10, 5, 11, 12, 13, 14, 4, 19, 9, 8, 7, 6, 3, 2, 1, 0, 16];
#[cfg(target_arch = "aarch64")]
pub(crate) const WORDS: [u8; 32] = {
    let mut words = [0; 32];
    let mut slot = 0;
    while slot < 32 {
        words[slot as usize] = slot;
        slot += 1;
    }
    words
};
