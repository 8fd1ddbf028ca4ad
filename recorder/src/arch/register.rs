//! Registers as the eBPF program numbers them.

/// The number of each slot of a location ([`ArgumentSpec::base`](crate::abi::ArgumentSpec)). On aarch64, where nothing is recorded, the
/// slot.
#[cfg(target_arch = "x86_64")]
pub(crate) const NUMBERS: [u8; 17] = [10, 5, 11, 12, 13, 14, 4, 15, 9, 8, 7, 6, 3, 2, 1, 0, 16];
#[cfg(target_arch = "aarch64")]
pub(crate) const NUMBERS: [u8; 32] = {
    let mut numbers = [0; 32];
    let mut slot = 0;
    while slot < 32 {
        numbers[slot as usize] = slot;
        slot += 1;
    }
    numbers
};
