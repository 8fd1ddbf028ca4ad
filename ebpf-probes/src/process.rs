//! Programs at the kernel's tracepoints for processes: one begins, runs another program, ends.
//!
//! Process ids are reused, and a process that lives for milliseconds is gone before `/proc` could be read. These
//! events stand in time order among what the processes fire, so the recorder knows which one fired. They are raw
//! tracepoints, which need no tracefs; where things lie in the kernel's structures is a constant by the time the
//! program is loaded ([`KernelLayout`]).

use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ptr;

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::{BPF_RB_AVAIL_DATA, BPF_RB_RING_SIZE};
use aya_ebpf::helpers::generated::{
    bpf_ktime_get_ns, bpf_probe_read_kernel, bpf_probe_read_kernel_str, bpf_probe_read_user,
    bpf_ringbuf_query, bpf_ringbuf_reserve, bpf_ringbuf_submit,
};
use aya_ebpf::programs::RawTracePointContext;

use crate::abi::{
    ADMITTED, EventHeader, FOLLOWED, HEADER_BYTES, KIND_EXEC, KIND_EXIT, KIND_FORK, KernelLayout,
    MAX_COMMAND_BYTES, MAX_PATH_BYTES, MAX_PROGRAM_BYTES,
};
use crate::{argument, atomic, maps};

/// Set by the recorder before the program is loaded.
#[unsafe(no_mangle)]
static KERNEL: KernelLayout = KernelLayout {
    task_pid: 0,
    task_tgid: 0,
    task_start: 0,
    task_parent: 0,
    task_mm: 0,
    task_signal: 0,
    task_exit_code: 0,
    signal_live: 0,
    mm_exe_file: 0,
    mm_arg_start: 0,
    mm_arg_end: 0,
    file_dentry: 0,
    dentry_name: 0,
    binprm_filename: 0,
    task_fsbase: 0,
};

/// `BPF_RB_FORCE_WAKEUP`: events that let the recorder sleep lie before it, so a wake-up must be asked for.
const WAKE: u64 = 2;
/// `BPF_RB_NO_WAKEUP`.
const LET_SLEEP: u64 = 1;

/// Bytes of events: words, then program, path and command line.
const FORK_BYTES: usize = HEADER_BYTES + 3 * 8 + MAX_PROGRAM_BYTES;
const EXEC_BYTES: usize = HEADER_BYTES + 5 * 8 + MAX_PROGRAM_BYTES + MAX_PATH_BYTES + MAX_COMMAND_BYTES;
const EXIT_BYTES: usize = HEADER_BYTES + 2 * 8;

/// `sched_process_fork(parent, child)`.
#[inline(always)]
pub fn fork(ctx: &RawTracePointContext) {
    let layout = layout();
    let child = Task::argument(ctx, 1);
    let pid: u32 = child.read(layout.task_tgid);
    // A thread is no process, and what has no memory of its own is a thread of the kernel.
    if pid != child.read::<u32>(layout.task_pid) || child.read::<u64>(layout.task_mm) == 0 {
        return;
    }
    let parent = child.parent(&layout);
    if is_followed(parent) && maps::PIDS.insert(&pid, &FOLLOWED, 0).is_err() {
        lose();
    }
    let Some(event) = Reserved::<FORK_BYTES>::new() else { return };
    event.word(0, child.read(layout.task_start));
    event.word(1, u64::from(parent));
    event.program(2, 3 * 8, child, &layout);
    event.submit(pid, KIND_FORK, 3, LET_SLEEP);
}

/// `sched_process_exec(task, old_pid, binprm)`.
#[inline(always)]
pub fn exec(ctx: &RawTracePointContext) {
    let layout = layout();
    let task = Task::argument(ctx, 0);
    let Some(event) = Reserved::<EXEC_BYTES>::new() else { return };
    event.word(0, task.read(layout.task_start));
    event.word(1, u64::from(task.parent(&layout)));
    event.program(2, 5 * 8, task, &layout);
    event.command(3, 5 * 8 + MAX_PROGRAM_BYTES + MAX_PATH_BYTES, task, &layout);
    let path = Task::argument(ctx, 2).read(layout.binprm_filename);
    event.string::<MAX_PATH_BYTES>(4, 5 * 8 + MAX_PROGRAM_BYTES, path);
    let pid = task.read(layout.task_tgid);
    event.submit(pid, KIND_EXEC, 5, WAKE);
}

/// `sched_process_exit(task, ...)`.
#[inline(always)]
pub fn exit(ctx: &RawTracePointContext) {
    let layout = layout();
    let task = Task::argument(ctx, 0);
    let signal = Task(task.read(layout.task_signal));
    // The kernel has counted this thread off already. Two that end at the same time may both see 0: the recorder takes
    // the first. Before Linux 6.16 the memory is given back by now, so threads of the kernel cannot be told; they have
    // no probes.
    if signal.read::<u32>(layout.signal_live) != 0 {
        return;
    }
    let pid: u32 = task.read(layout.task_tgid);
    let _ = maps::PIDS.remove(&pid);
    let Some(event) = Reserved::<EXIT_BYTES>::new() else { return };
    event.word(0, task.read(layout.task_start));
    event.word(1, u64::from(task.read::<u32>(layout.task_exit_code)));
    event.submit(pid, KIND_EXIT, 2, LET_SLEEP);
}

#[inline(always)]
fn is_followed(pid: u32) -> bool {
    // SAFETY: a single byte is read.
    unsafe { maps::PIDS.get(&pid) }.is_some_and(|value| *value != ADMITTED)
}

/// Counts something that the recorder is not told.
#[inline(always)]
fn lose() {
    if let Some(drops) = maps::PROCESS_DROPS.get_ptr_mut(0) {
        // SAFETY: an aligned map value.
        unsafe { atomic::fetch_add(drops, 1) };
    }
}

/// Whether the ring is so full that the recorder is to be woken.
#[inline(always)]
fn is_filling() -> bool {
    let ring = (&raw const maps::PROCESSES).cast_mut().cast::<c_void>();
    // SAFETY: the address of a ring buffer map, which the loader puts there.
    let (fill, size) = unsafe {
        let fill = bpf_ringbuf_query(ring, u64::from(BPF_RB_AVAIL_DATA));
        (fill, bpf_ringbuf_query(ring, u64::from(BPF_RB_RING_SIZE)))
    };
    fill >= size / 4
}

#[inline(always)]
fn layout() -> KernelLayout {
    // SAFETY: an initialised static; volatile, because the loader changes it after compilation.
    unsafe { ptr::read_volatile(&raw const KERNEL) }
}

/// Where in a `task_struct` the thread's `%fs` is kept; 0 if the kernel does not tell.
#[inline(always)]
pub fn task_fsbase() -> u32 {
    // SAFETY: as above. Only this word: it is read at each argument of the thread.
    unsafe { (&raw const KERNEL.task_fsbase).read_volatile() }
}

/// Address of a `task_struct`, or of another structure of the kernel.
#[derive(Clone, Copy)]
struct Task(u64);

impl Task {
    #[inline(always)]
    fn argument(ctx: &RawTracePointContext, index: usize) -> Self {
        // SAFETY: the context of a raw tracepoint is its arguments, each a word; all of those read here have that many.
        Self(unsafe { ctx.as_ptr().cast::<u64>().add(index).read() })
    }

    /// The field at `offset`; zeros if it cannot be read.
    #[inline(always)]
    fn read<T>(self, offset: u32) -> T {
        let mut value = MaybeUninit::<T>::zeroed();
        // SAFETY: the helper writes the whole value or zeros; callers read integers, for which all bits are valid.
        unsafe {
            let source = self.0.wrapping_add(u64::from(offset)) as *const c_void;
            bpf_probe_read_kernel(value.as_mut_ptr().cast(), size_of::<T>() as u32, source);
            value.assume_init()
        }
    }

    #[inline(always)]
    fn parent(self, layout: &KernelLayout) -> u32 {
        Task(self.read(layout.task_parent)).read(layout.task_tgid)
    }
}

/// Space in the ring of processes; must be submitted on every path.
struct Reserved<const BYTES: usize>(*mut u8);

impl<const BYTES: usize> Reserved<BYTES> {
    /// Without room the event is counted as lost.
    #[inline(always)]
    fn new() -> Option<Self> {
        // SAFETY: the address of a ring buffer map, which the loader puts there.
        let at =
            unsafe { bpf_ringbuf_reserve((&raw const maps::PROCESSES).cast_mut().cast(), BYTES as u64, 0) };
        if at.is_null() {
            lose();
            return None;
        }
        Some(Self(at.cast()))
    }

    /// Sets word `index` behind the header.
    #[inline(always)]
    fn word(&self, index: usize, value: u64) {
        // SAFETY: every event has room for the words that are set in it, which the verifier checks.
        unsafe { self.0.add(HEADER_BYTES).cast::<u64>().add(index).write(value) };
    }

    /// Puts the file name of the executable of `task` at byte `start`, and where it is in word `index`.
    #[inline(always)]
    fn program(&self, index: usize, start: usize, task: Task, layout: &KernelLayout) {
        let memory = Task(task.read(layout.task_mm));
        let file = Task(memory.read(layout.mm_exe_file));
        let entry = Task(file.read(layout.file_dentry));
        self.string::<MAX_PROGRAM_BYTES>(index, start, entry.read(layout.dentry_name));
    }

    /// Puts the string at `address` in the kernel at byte `start`, at most `ROOM` bytes with its NUL, and where it is in
    /// word `index`.
    #[inline(always)]
    fn string<const ROOM: usize>(&self, index: usize, start: usize, address: u64) {
        // SAFETY: the event has room for so many bytes at `start`; the helper fails at a wrong address.
        let status = unsafe {
            let target = self.0.add(HEADER_BYTES + start);
            bpf_probe_read_kernel_str(target.cast(), ROOM as u32, address as *const c_void)
        };
        // The status counts the NUL.
        let length = if argument::is_negative(status) != 0 { 1 } else { status as u64 };
        self.word(index, (start as u64) << 32 | (length.wrapping_sub(1) & (ROOM as u64 - 1)));
    }

    /// Puts the command line of `task`, which runs now, at byte `start`, and where it is in word `index`.
    #[inline(always)]
    fn command(&self, index: usize, start: usize, task: Task, layout: &KernelLayout) {
        let memory = Task(task.read(layout.task_mm));
        let begin: u64 = memory.read(layout.mm_arg_start);
        let end: u64 = memory.read(layout.mm_arg_end);
        let length = end.wrapping_sub(begin);
        let length = if length > MAX_COMMAND_BYTES as u64 { MAX_COMMAND_BYTES as u64 } else { length };
        // SAFETY: the event has room for MAX_COMMAND_BYTES at `start`; the helper fails at a wrong address.
        let status = unsafe {
            let target = self.0.add(HEADER_BYTES + start);
            bpf_probe_read_user(target.cast(), length as u32, begin as *const c_void)
        };
        let length = if argument::is_negative(status) != 0 { 0 } else { length };
        self.word(index, (start as u64) << 32 | length);
    }

    /// Reads the clock, writes the header and submits.
    #[inline(always)]
    fn submit(self, pid: u32, kind: u8, count: u8, flags: u64) {
        // SAFETY: the helper has no precondition; there is room for a header, and the space was not submitted before.
        unsafe {
            let time_ns = bpf_ktime_get_ns();
            let header = EventHeader { time_ns, tid: 0, pid, site: 0, unreadable: 0, kind, count };
            self.0.cast::<EventHeader>().write(header);
            bpf_ringbuf_submit(self.0.cast(), if is_filling() { WAKE } else { flags });
        }
    }
}
