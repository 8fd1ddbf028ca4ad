//! What the eBPF program and the recorder tell each other: the layout of map values and of raw events.
//!
//! The recorder includes this file by path, so there is one definition. Nothing here is part of the trace file,
//! and it may change with any release: program and recorder always come from the same build.

/// Most arguments one site may have (the limit of `sys/sdt.h`).
pub const MAX_ARGUMENTS: usize = 12;

/// Longest string read from an argument, in bytes.
pub const MAX_STRING_BYTES: usize = 4096;

/// Room for one string more: of the next number of bits as the longest string with a byte that shows that it goes on, and NUL.
pub const STRING_ROOM: usize = (MAX_STRING_BYTES + 2).next_power_of_two();

/// Most bytes of an event after its header: every argument a string of the greatest length that goes on.
pub const MAX_PAYLOAD_BYTES: usize = MAX_ARGUMENTS * (8 + MAX_STRING_BYTES + 1);

/// Bytes of the payload of a scratch buffer: one more string fits behind any offset of as many bits as those of
/// [`MAX_PAYLOAD_BYTES`].
pub const SCRATCH_PAYLOAD_BYTES: usize = MAX_PAYLOAD_BYTES.next_power_of_two() + STRING_ROOM;

/// Scratch buffers per CPU in which sites with strings assemble their event. More than one, because a task can be
/// preempted by another on the same CPU while it holds one.
pub const SCRATCH_PER_CPU: u32 = 4;

/// [`SiteSpec::shape`]: there is no argument to read.
pub const SHAPE_EMPTY: u8 = 0;
/// [`SiteSpec::shape`]: one argument, in a register.
pub const SHAPE_ONE_REGISTER: u8 = 1;
/// [`SiteSpec::shape`]: any arguments but strings.
pub const SHAPE_VALUES: u8 = 2;
/// [`SiteSpec::shape`]: at least one argument is a string.
pub const SHAPE_STRINGS: u8 = 3;

/// [`ArgumentSpec::flags`]: the sum is the address of the value, otherwise the value.
pub const IN_MEMORY: u8 = 1;
/// [`ArgumentSpec::flags`]: the value is the address of a string, which ends with NUL unless it has a length.
pub const IS_STRING: u8 = 2;
/// [`ArgumentSpec::flags`]: the address is relative to the memory of the thread (its `%fs`).
pub const OF_THREAD: u8 = 4;
/// [`ArgumentSpec::flags`]: the string's length in bytes is the word of the argument before, cut to its size.
pub const HAS_LENGTH: u8 = 8;
/// [`ArgumentSpec::flags`]: that length is signed; no string can be read where it is negative.
pub const LENGTH_IS_SIGNED: u8 = 16;

/// [`ArgumentSpec::base`] and [`ArgumentSpec::index`]: none.
pub const NO_REGISTER: u8 = 17;
/// Registers and the number that stands for none.
pub const REGISTERS: usize = 18;

/// What one argument is: `displacement + base + (index << scale_log2)`, or what lies there. The numbers of registers are those of
/// their 8-byte words in `struct pt_regs` of x86-64, but 15 is `%rsp`; 16 is `%rip`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArgumentSpec {
    /// The part that is no register.
    pub displacement: i64,
    /// `IN_MEMORY` and the others.
    pub flags: u8,
    /// The first register.
    pub base: u8,
    /// The one that is multiplied.
    pub index: u8,
    /// 0 to 3.
    pub scale_log2: u8,
    /// Bytes to read from memory: 1, 2, 4 or 8.
    pub size_bytes: u8,
    /// Of a string that has a length: upper bits of the word that are not part of the length.
    pub length_unused_bits: u8,
    /// Of a string: bytes to record, at most [`MAX_STRING_BYTES`]. If there are more, one more is sent.
    pub max_bytes: u16,
}

/// What the program does at one site: a value of the map `SITES`, found by the attach cookie.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SiteSpec {
    /// Valid entries in `arguments`.
    pub count: u8,
    /// One of the `SHAPE_` constants.
    pub shape: u8,
    /// Zero. The program begins its mask of unreadable arguments with it: a value that the verifier does not know, so
    /// that it need not tell all masks apart.
    pub no_mask: u16,
    /// Zero.
    pub reserved: [u8; 4],
    /// Arguments to read, in their order at the site.
    pub arguments: [ArgumentSpec; MAX_ARGUMENTS],
}

/// The start of a lane: a value of the map `LANES`, one per CPU. Program and recorder write on different cache lines.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneControl {
    /// Slots reserved so far. Only the program writes it.
    pub head: u64,
    /// Zero.
    pub reserved: [u64; 7],
    /// Slots read so far. Only the recorder writes it.
    pub tail: u64,
    /// The `lost` that the recorder has read. Only the recorder writes it.
    pub lost_seen: u64,
    /// Not 0 while the recorder sleeps until it is woken: the next event on this CPU wakes it. The recorder sets it, the program
    /// clears it.
    pub asleep: u64,
    /// Zero.
    pub reserved2: [u64; 5],
    /// Events lost on this CPU since the program was loaded. Only the program writes it.
    pub lost: u64,
    /// Time of the first loss after `lost` was last equal to `lost_seen`. Only the program writes it.
    pub lost_first_ns: u64,
    /// Time of the last loss. Only the program writes it.
    pub lost_last_ns: u64,
    /// Firings that began on this CPU and wait for memory that their process has not touched yet. Only the program writes it.
    pub waiting: u64,
    /// Zero.
    pub reserved3: [u64; 4],
}

/// Bytes of a [`LaneControl`]; the slots follow.
pub const LANE_BYTES: usize = 192;
/// Bytes of a slot: three words.
///
/// First slot of an event: the time; process, thread and site ([`pack_ids`]); the first argument or 0. Further slots:
/// `CONTINUED_BIT`, the number of arguments << 16 and the mask of unreadable ones; the next two arguments.
pub const SLOT_BYTES: usize = 24;
/// Slots that are kept free, so that tasks which preempt each other while they reserve cannot lap the recorder.
pub const LANE_MARGIN: u64 = 1024;
/// In the first word of a slot: set in even laps of the ring (the first is lap 0), clear in odd ones.
pub const LAP_BIT: u64 = 1 << 63;
/// In the first word of a slot: it continues the event before. Times have neither bit for the next 146 years.
pub const CONTINUED_BIT: u64 = 1 << 62;

/// Bits of a process or thread id in a slot: `PID_MAX_LIMIT` of Linux on 64-bit machines.
pub const ID_BITS: u32 = 22;
/// Bits of a site in a slot.
pub const SITE_BITS: u32 = 20;
/// Those of its place in a page of the maps `SITES` and `SITE_DROPS`; the others are the page.
pub const SITE_PAGE_BITS: u32 = 12;

/// Packs the result of `bpf_get_current_pid_tgid` and a site in one word: pid, tid, site from the top.
#[inline(always)]
pub const fn pack_ids(pid_tid: u64, site: u32) -> u64 {
    (pid_tid >> 32) << (ID_BITS + SITE_BITS) | (pid_tid & 0xffff_ffff) << SITE_BITS | site as u64
}

/// Value of a process in the map `PIDS`: it is recorded.
pub const ADMITTED: u8 = 1;
/// Value of a process in the map `PIDS`: it is recorded, and so are its children, which are followed themselves.
pub const FOLLOWED: u8 = 2;

/// [`EventHeader::kind`]: a site fired.
pub const KIND_SITE: u8 = 0;
/// [`EventHeader::kind`]: a process began as the copy of another one. Words: start, parent, program.
pub const KIND_FORK: u8 = 1;
/// [`EventHeader::kind`]: a process began to run another program. Words: start, parent, program, command line, path as
/// the process gave it, and 1 if it was stopped until its probes are attached.
pub const KIND_EXEC: u8 = 2;
/// [`EventHeader::kind`]: the last thread of a process ended. Words: start, wait status.
pub const KIND_EXIT: u8 = 3;

/// Longest file name of a program in the events of processes, with its terminating NUL, in bytes: `NAME_MAX` of Linux.
pub const MAX_PROGRAM_BYTES: usize = 256;
/// Longest path of a program in them, with its terminating NUL, in bytes.
pub const MAX_PATH_BYTES: usize = 256;
/// Longest command line in them, in bytes.
pub const MAX_COMMAND_BYTES: usize = 512;

/// Where the kernel that runs keeps what the programs for processes read: offsets in bytes, from its BTF.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelLayout {
    /// `task_struct.pid`: the thread id.
    pub task_pid: u32,
    /// `task_struct.tgid`: the process id.
    pub task_tgid: u32,
    /// `task_struct.start_boottime`.
    pub task_start: u32,
    /// `task_struct.real_parent`.
    pub task_parent: u32,
    /// `task_struct.mm`.
    pub task_mm: u32,
    /// `task_struct.signal`.
    pub task_signal: u32,
    /// `task_struct.exit_code`.
    pub task_exit_code: u32,
    /// `signal_struct.live`: threads that have not ended.
    pub signal_live: u32,
    /// `mm_struct.exe_file`.
    pub mm_exe_file: u32,
    /// `mm_struct.arg_start`.
    pub mm_arg_start: u32,
    /// `mm_struct.arg_end`.
    pub mm_arg_end: u32,
    /// `file.f_path.dentry`.
    pub file_dentry: u32,
    /// `dentry.d_name.name`.
    pub dentry_name: u32,
    /// `linux_binprm.filename`.
    pub binprm_filename: u32,
    /// `task_struct.thread.fsbase`; 0 if there is none.
    pub task_fsbase: u32,
}

/// What every raw event in a ring buffer begins with. `count` 8-byte words follow, then the bytes of its strings.
///
/// A word holds the register or the zero-extended memory as read; the recorder cuts it to the argument's size and
/// extends its sign. For a string it holds the length in bytes (without NUL) in the lower half and, in the upper
/// half, where the string begins, counted from the end of the header. A string that is longer than wanted has one byte more
/// than that.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventHeader {
    /// `CLOCK_MONOTONIC`, read after the space in the ring was reserved.
    pub time_ns: u64,
    /// Thread that fired; of other kinds, 0.
    pub tid: u32,
    /// Process that fired, or that the event is about.
    pub pid: u32,
    /// The attach cookie: index in `SITES`; of other kinds, 0.
    pub site: u32,
    /// Bit i is set when word i could not be read.
    pub unreadable: u16,
    /// One of the `KIND_` constants.
    pub kind: u8,
    /// Words that follow.
    pub count: u8,
}

/// Bytes of an [`EventHeader`].
pub const HEADER_BYTES: usize = 24;

const _: () = assert!(size_of::<EventHeader>() == HEADER_BYTES);
const _: () = assert!(size_of::<ArgumentSpec>() == 16);
const _: () = assert!(size_of::<SiteSpec>() == 8 + 16 * MAX_ARGUMENTS);
const _: () = assert!(size_of::<LaneControl>() == LANE_BYTES && LANE_BYTES.is_multiple_of(64));
const _: () = assert!(2 * ID_BITS + SITE_BITS == 64);
