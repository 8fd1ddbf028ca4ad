//! The eBPF programs. The one that runs at every site reads the site's arguments, the process, the thread and the time,
//! and hands them to the recorder as one raw event (`abi.rs`), by the lane of its CPU or by its ring buffer.
//!
//! It runs inside the traced program, so each instruction here is paid by the user: the common shapes come first, and
//! whatever can be known when the program is loaded is a constant then. Space in the ring is reserved before the clock
//! is read; so an event that bears a time up to T is in its ring, finished or busy, at T, and the recorder can merge
//! the rings of all CPUs by time without guessing.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod abi;
mod absent;
mod argument;
mod atomic;
mod lane;
mod maps;
mod process;
mod ring;
mod string;

use core::mem::MaybeUninit;

use aya_ebpf::helpers::{bpf_get_attach_cookie, bpf_get_current_pid_tgid, bpf_get_smp_processor_id};
use aya_ebpf::macros::{raw_tracepoint, uprobe};
use aya_ebpf::programs::{ProbeContext, RawTracePointContext};

use crate::abi::{MAX_ARGUMENTS, SHAPE_EMPTY, SHAPE_ONE_REGISTER, SHAPE_STRINGS, SHAPE_VALUES, SiteSpec};
use crate::argument::Registers;
use crate::ring::Event;

/// 1 when only the processes in `PIDS` are recorded. The recorder sets it before the program is loaded, and the
/// verifier then removes the branch that is never taken.
#[unsafe(no_mangle)]
static PID_FILTER: u32 = 0;

/// 0. The verifier knows it, the compiler does not.
#[unsafe(no_mangle)]
static NEVER: u32 = 0;

// Always in the program itself: the kernel refuses a tail call (see below) in a function that is called.
#[uprobe]
#[inline(always)]
pub fn site(ctx: ProbeContext) -> u32 {
    refuse_private_stack();
    fire::<false>(&ctx);
    0
}

/// As `site`, where arguments are in memory: it waits for memory that the process has not touched yet.
#[uprobe(sleepable)]
#[inline(always)]
pub fn site_of_memory(ctx: ProbeContext) -> u32 {
    refuse_private_stack();
    fire::<true>(&ctx);
    0
}

/// From Linux 6.13 on, programs of this type keep their variables on a stack that the kernel has for each program and CPU.
/// At a uprobe a program may be preempted, and then another task that fires on this CPU writes to the same stack: wrong
/// values, wrong addresses, and the end of the machine (seen on 7.3). A program with a tail call gets no such stack.
/// The kernel looks for the call before it finds that it is never reached, and then takes it out.
#[inline(always)]
fn refuse_private_stack() {
    // SAFETY: a read of an initialised static; volatile, because the compiler must not know it. The call is never made,
    // so it needs no arguments.
    unsafe {
        if core::ptr::read_volatile(&raw const NEVER) != 0 {
            core::arch::asm!("call 12", "exit", options(nostack, noreturn));
        }
    }
}

#[raw_tracepoint]
pub fn process_fork(ctx: RawTracePointContext) -> u32 {
    process::fork(&ctx);
    0
}

#[raw_tracepoint]
pub fn process_exec(ctx: RawTracePointContext) -> u32 {
    process::exec(&ctx);
    0
}

#[raw_tracepoint]
pub fn process_exit(ctx: RawTracePointContext) -> u32 {
    process::exit(&ctx);
    0
}

#[inline(always)]
fn fire<const MAY_WAIT: bool>(ctx: &ProbeContext) {
    let regs = ctx.regs.cast_const().cast::<u64>();
    // SAFETY: every program of this type may ask for its cookie.
    let cookie = unsafe { bpf_get_attach_cookie(ctx.regs.cast()) };
    let site = cookie as u32;
    let Some(spec) = maps::site_spec(site) else { return };
    let pid_tid = bpf_get_current_pid_tgid();
    // SAFETY: a read of an initialised static; volatile, because the loader changes it after compilation.
    if unsafe { core::ptr::read_volatile(&raw const PID_FILTER) } != 0 {
        let pid = (pid_tid >> 32) as u32;
        // SAFETY: the value is only tested for presence.
        if unsafe { maps::PIDS.get(&pid) }.is_none() {
            return;
        }
    }
    // SAFETY: the helper has no precondition.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    let event = Event { pid_tid, site, cpu };
    match spec.shape {
        SHAPE_ONE_REGISTER => {
            let word = argument::register(regs, spec.arguments[0].base);
            event.submit_small(1, word);
        }
        SHAPE_EMPTY => event.submit_small(0, 0),
        shape => {
            let mut copy = MaybeUninit::uninit();
            let registers = Registers::copy(regs, &mut copy);
            match shape {
                SHAPE_STRINGS => string::fire::<MAY_WAIT>(registers, spec, &event),
                SHAPE_VALUES => fire_values::<MAY_WAIT>(registers, spec, &event),
                _ => {}
            }
        }
    }
}

/// Any number of arguments that are all values of up to 8 bytes.
#[inline(always)]
fn fire_values<const MAY_WAIT: bool>(registers: &Registers, spec: &SiteSpec, event: &Event) {
    let mut words = MaybeUninit::<[u64; MAX_ARGUMENTS]>::uninit();
    let first = words.as_mut_ptr().cast::<u64>();
    for i in 0..MAX_ARGUMENTS {
        // SAFETY: i < MAX_ARGUMENTS. Volatile, because the compiler makes a loop over bytes of anything else.
        unsafe { first.add(i).write_volatile(0) };
    }
    // SAFETY: all of it was written.
    let words = unsafe { words.assume_init_mut() };
    let unreadable = argument::gather::<MAY_WAIT>(registers, spec, words);
    event.submit(argument::count(spec), unreadable, words);
}

/// The kernel refuses the helpers that read memory to programs without a licence compatible with the GPL.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // Never reached: nothing in the program panics, and the verifier refuses a loop without an end.
    loop {}
}
