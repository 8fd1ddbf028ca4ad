//! Reading the arguments of a site: registers from `pt_regs`, memory of the traced process.

use core::arch::asm;
use core::ffi::c_void;
use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated::{bpf_get_current_task, bpf_probe_read_kernel, bpf_probe_read_user};

use crate::abi::{
    ArgumentSpec, IN_MEMORY, MAX_ARGUMENTS, NO_REGISTER, OF_THREAD, REGISTERS, SiteSpec,
};
use crate::{absent, process};

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

/// One register, by its number ([`ArgumentSpec::base`]), which must be one.
#[inline(always)]
pub fn register(regs: *const u64, number: u8) -> u64 {
    match number {
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
        15 => load!(regs, "152"),
        _ => load!(regs, "128"),
    }
}

/// A copy of the registers by their number, and zero as the last one. The verifier allows any of its words to be read by a
/// variable index, where each read of the original is a choice of seventeen.
pub struct Registers([u64; REGISTERS]);

impl Registers {
    /// Copies them to `copy`, which is not moved: the stack has room for one.
    #[inline(always)]
    pub fn copy(regs: *const u64, copy: &mut MaybeUninit<Self>) -> &Self {
        let words = copy.as_mut_ptr().cast::<u64>();
        macro_rules! copy {
            ($($number:literal)*) => {
                // SAFETY: each number is one of the array. Volatile, or the compiler puts off the loads until after the
                // helpers, and then has no pointer to load from.
                unsafe { $(words.add($number).write_volatile(register(regs, $number));)* }
            };
        }
        copy!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);
        // SAFETY: the last one; then all of it was written.
        unsafe {
            words.add(usize::from(NO_REGISTER)).write_volatile(0);
            copy.assume_init_ref()
        }
    }

    /// The same number, of which the verifier knows nothing any more. What it knows of two states keeps it from taking them for one,
    /// and it would go on from both: with each argument from twice as many. Of what is combined
    /// with an unknown number, as a register of the traced program is, it knows nothing, nor when that is undone.
    #[inline(always)]
    pub fn forget(&self, number: u64) -> u64 {
        let mut number = number;
        // SAFETY: the same bits are turned twice.
        unsafe {
            asm!("{number} ^= {other}", "{number} ^= {other}",
                number = inout(reg) number, other = in(reg) self.0[0], options(pure, nomem, nostack));
        }
        number
    }

    /// The same for a word.
    #[inline(always)]
    pub fn forgotten(&self, word: Word) -> Word {
        Word { unreadable: self.forget(u64::from(word.unreadable)) as u16, value: self.forget(word.value) }
    }

    #[inline(always)]
    fn get(&self, number: u8) -> u64 {
        let last = usize::from(NO_REGISTER);
        let index = usize::from(number);
        self.0[if index < last { index } else { last }]
    }
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

/// How many arguments a site has. Read from memory each time it is asked for: the verifier knows nothing of it then. Of a number
/// that ended a loop it knows what it was, and would go through all that follows once for each.
#[inline(always)]
pub fn count(spec: &SiteSpec) -> u8 {
    // SAFETY: a read through a reference.
    unsafe { (&raw const spec.count).read_volatile() }
}

/// Reads one argument; its memory may not be readable now. With `MAY_WAIT`, memory that is not there yet is brought in.
#[inline(always)]
pub fn read<const MAY_WAIT: bool>(registers: &Registers, spec: &ArgumentSpec) -> Word {
    let sum = sum(registers, spec);
    if spec.flags & IN_MEMORY == 0 {
        return Word { unreadable: 0, value: sum };
    }
    let mut value = 0u64;
    let size_bytes = if spec.size_bytes < 8 { u32::from(spec.size_bytes) } else { 8 };
    // SAFETY: `value` has 8 bytes.
    let status = unsafe { copy::<MAY_WAIT>((&raw mut value).cast(), size_bytes, sum as *const c_void) };
    Word { unreadable: is_negative(status), value }
}

/// The value of an argument, or where in memory it is.
#[inline(always)]
fn sum(registers: &Registers, spec: &ArgumentSpec) -> u64 {
    let index = registers.get(spec.index) << (spec.scale_log2 & 3);
    let sum = (spec.displacement as u64).wrapping_add(registers.get(spec.base)).wrapping_add(index);
    if spec.flags & OF_THREAD != 0 { sum.wrapping_add(thread_base()) } else { sum }
}

/// The address in `%fs` of the thread that runs; one from which nothing can be read if the kernel does not tell.
///
/// The kernel keeps what the thread asked for; what a thread puts there itself (`wrfsbase`), it learns when the thread
/// next gives up its processor.
#[inline(never)]
fn thread_base() -> u64 {
    let mut base = NOWHERE;
    let offset = process::task_fsbase();
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

/// Copies memory of the process. Below zero if it cannot be read, or only after a page is brought in and not `MAY_WAIT`.
///
/// # Safety
/// `target` has room for so many bytes. A wrong source is an error.
#[inline(always)]
unsafe fn copy<const MAY_WAIT: bool>(
    target: *mut c_void,
    size_bytes: u32,
    source: *const c_void,
) -> i64 {
    // SAFETY: the caller vouches for the target, and the helpers check the source.
    unsafe {
        let status = bpf_probe_read_user(target, size_bytes, source);
        if MAY_WAIT && status < 0 {
            return absent::copy(target, size_bytes, source);
        }
        status
    }
}

/// 1 if `status`, the result of a helper, is an error, else 0; without a branch.
#[inline(always)]
pub fn is_negative(status: i64) -> u16 {
    (status as u64 >> 63) as u16
}

/// Reads all arguments into `words` and returns the mask of those that could not be read.
#[inline(always)]
pub fn gather<const MAY_WAIT: bool>(
    registers: &Registers,
    spec: &SiteSpec,
    words: &mut [u64; MAX_ARGUMENTS],
) -> u16 {
    let mut unreadable = spec.no_mask;
    for i in 0..MAX_ARGUMENTS {
        if i >= usize::from(count(spec)) {
            break;
        }
        let word = read::<MAY_WAIT>(registers, &spec.arguments[i]);
        words[i] = word.value;
        unreadable = registers.forget(u64::from(unreadable | word.unreadable << i)) as u16;
    }
    unreadable
}
