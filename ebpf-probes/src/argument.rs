//! Reading the arguments of a site: registers from `pt_regs`, memory of the traced process.

use core::arch::asm;
use core::ffi::c_void;

use aya_ebpf::helpers::generated::{bpf_get_current_task, bpf_probe_read_kernel, bpf_probe_read_user};

use crate::abi::{
    ArgumentSpec, HAS_BASE, HAS_INDEX, IN_MEMORY, IS_CONSTANT, MAX_ARGUMENTS, OF_THREAD, SiteSpec,
};
use crate::process;

/// Loads one word of the context. The verifier allows only constant offsets from the context pointer; as assembly,
/// because the compiler would merge the arms of the match below into one load with a variable offset.
macro_rules! load {
    ($regs:expr, $offset:literal) => {{
        let value: u64;
        // SAFETY: the offset is inside pt_regs, which the verifier checks again.
        unsafe {
            asm!(concat!("{value} = *(u64 *)({regs} + ", $offset, ")"),
                value = lateout(reg) value, regs = in(reg) $regs, options(readonly, nostack, preserves_flags));
        }
        value
    }};
}

/// Returns the 8-byte word `word` of `pt_regs`. The recorder asks for those of the general registers only: rsp is what is
/// left. A constant for anything else would be a second kind of value, and for twelve arguments 4096 states of the
/// verifier before Linux 6.3.
#[inline(always)]
pub fn register_inline(regs: *const u64, word: u8) -> u64 {
    match word {
        0 => load!(regs, "0"),
        1 => load!(regs, "8"),
        2 => load!(regs, "16"),
        3 => load!(regs, "24"),
        4 => load!(regs, "32"),
        5 => load!(regs, "40"),
        6 => load!(regs, "48"),
        7 => load!(regs, "56"),
        8 => load!(regs, "64"),
        9 => load!(regs, "72"),
        10 => load!(regs, "80"),
        11 => load!(regs, "88"),
        12 => load!(regs, "96"),
        13 => load!(regs, "104"),
        14 => load!(regs, "112"),
        16 => load!(regs, "128"),
        _ => load!(regs, "152"),
    }
}

/// As [`register_inline`], as a function of its own: it is large and used several times.
#[inline(never)]
fn register(regs: *const u64, word: u8) -> u64 {
    register_inline(regs, word)
}

/// A word, and whether it could be read. Not an `Option`: the compiler leaves the value of a `None` undefined, and the
/// verifier refuses a program that as much as copies an undefined register. Nor is `unreadable` a `bool`: a branch on
/// it for each of twelve arguments would be 4096 paths for the verifier.
#[derive(Clone, Copy)]
pub struct Word {
    /// 1 if the word could not be read, else 0.
    pub unreadable: u16,
    /// 0 if it is unreadable.
    pub value: u64,
}

/// Reads one argument; its memory may not be readable now.
#[inline(always)]
pub fn read(regs: *const u64, spec: &ArgumentSpec) -> Word {
    if spec.flags & (IN_MEMORY | IS_CONSTANT) == 0 {
        return Word { unreadable: 0, value: register(regs, spec.base) };
    }
    if spec.flags & IS_CONSTANT != 0 {
        return Word { unreadable: 0, value: spec.displacement as u64 };
    }
    let address = address(regs, spec);
    let mut value = 0u64;
    let size_bytes = if spec.size_bytes < 8 { u32::from(spec.size_bytes) } else { 8 };
    // SAFETY: `value` has 8 bytes; the helper checks the address and fails instead of faulting.
    let status =
        unsafe { bpf_probe_read_user((&raw mut value).cast(), size_bytes, address as *const c_void) };
    Word { unreadable: is_negative(status), value }
}

/// Where an argument in memory is.
#[inline(always)]
pub fn address(regs: *const u64, spec: &ArgumentSpec) -> u64 {
    let mut address = spec.displacement as u64;
    if spec.flags & HAS_BASE != 0 {
        address = address.wrapping_add(register(regs, spec.base));
    }
    if spec.flags & HAS_INDEX != 0 {
        address = address.wrapping_add(register(regs, spec.index) << (spec.scale_log2 & 3));
    }
    if spec.flags & OF_THREAD != 0 {
        address = address.wrapping_add(thread_base());
    }
    address
}

/// The address in `%fs` of the thread that runs; one from which nothing can be read if the kernel does not tell.
///
/// The kernel keeps what the thread asked for; what a thread puts there itself (`wrfsbase`), it learns when the thread
/// next gives up its processor.
#[inline(never)]
fn thread_base() -> u64 {
    let mut base = NOWHERE;
    let offset = process::layout().task_fsbase;
    if offset != 0 {
        // SAFETY: `base` has 8 bytes; the helper fails at a wrong address.
        unsafe {
            let task = bpf_get_current_task() as usize + offset as usize;
            bpf_probe_read_kernel((&raw mut base).cast(), 8, task as *const c_void);
        }
    }
    base
}

/// In the middle of the addresses that no process has.
const NOWHERE: u64 = 1 << 63;

/// 1 if `status`, the result of a helper, is an error, else 0; without a branch.
#[inline(always)]
pub fn is_negative(status: i64) -> u16 {
    (status as u64 >> 63) as u16
}

/// Reads all arguments into `words` and returns the mask of those that could not be read.
#[inline(always)]
pub fn gather(regs: *const u64, spec: &SiteSpec, words: &mut [u64; MAX_ARGUMENTS]) -> u16 {
    let mut unreadable = spec.no_mask;
    for i in 0..MAX_ARGUMENTS {
        if i >= spec.count as usize {
            break;
        }
        let word = read(regs, &spec.arguments[i]);
        words[i] = word.value;
        unreadable |= word.unreadable << i;
    }
    unreadable
}
