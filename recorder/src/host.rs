//! Facts of this machine: its name and kernel, its clocks read together, its processes.

pub(crate) mod capability;
pub(crate) mod cgroup;
pub(crate) mod descriptors;
pub(crate) mod helper;
pub mod process;
pub(crate) mod user;

use std::sync::Arc;

use rustix::time::{ClockId, DynamicClockId, Timespec, clock_gettime, clock_gettime_dynamic};
use tracer_format::{ClockAnchor, Host, HostId};

/// This machine, the tool and its command line.
#[must_use]
pub(crate) fn facts(command: Vec<String>) -> Host {
    let names = rustix::system::uname();
    let text = |name: &std::ffi::CStr| name.to_string_lossy().into_owned();
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Host {
        name: text(names.nodename()).into(),
        kernel: format!("{} {} {}", text(names.sysname()), text(names.release()), text(names.version()))
            .into(),
        machine: text(names.machine()).into(),
        boot_id: boot_id.trim_end().into(),
        cpus: std::thread::available_parallelism().map_or(0, |cpus| u32::try_from(cpus.get()).unwrap_or(0)),
        tool: format!("tracer {}", env!("CARGO_PKG_VERSION")).into(),
        command: command.into_iter().map(Arc::from).collect(),
    }
}

/// Bytes of memory that this process may use together with others in its control groups; `None` without a limit.
#[must_use]
pub fn memory_limit() -> Option<u64> {
    cgroup::memory_limit()
}

/// Whether this process is in a PID namespace, as in most containers: it sees other pids than the eBPF program does.
#[must_use]
pub(crate) fn is_in_pid_namespace() -> bool {
    // `PROC_PID_INIT_INO` of the kernel's `include/linux/proc_ns.h`.
    std::fs::read_link("/proc/self/ns/pid").is_ok_and(|link| link.as_os_str() != "pid:[4026531836]")
}

/// Major and minor version of the running kernel; 0.0 if it does not say.
#[must_use]
pub(crate) fn kernel_version() -> (u32, u32) {
    let code = aya::util::KernelVersion::current().map_or(0, aya::util::KernelVersion::code);
    (code >> 16, code >> 8 & 0xff)
}

/// Reads all clocks; of several tries the one that took the shortest.
#[must_use]
pub(crate) fn clocks() -> ClockAnchor {
    let read = |_| {
        let before = now_ns(ClockId::Monotonic);
        let boottime_ns = now_ns(ClockId::Boottime);
        let realtime_ns = now_ns(ClockId::Realtime);
        // A kernel without this clock gives 0.
        let tai_ns = clock_gettime_dynamic(DynamicClockId::Tai).map_or(0, nanoseconds);
        let took = now_ns(ClockId::Monotonic) - before;
        let anchor = ClockAnchor {
            host: HostId(0),
            monotonic_ns: (before + took / 2).cast_unsigned(),
            boottime_ns: boottime_ns.cast_unsigned(),
            realtime_ns,
            tai_ns,
        };
        (took, anchor)
    };
    let best = (0..5).map(read).min_by_key(|(took, _)| *took);
    best.map(|(_, anchor)| anchor).unwrap_or_default()
}

/// `CLOCK_MONOTONIC` now, ns: the clock of the events.
#[must_use]
pub fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

fn now_ns(clock: ClockId) -> i64 {
    nanoseconds(clock_gettime(clock))
}

fn nanoseconds(time: Timespec) -> i64 {
    time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_read_together() {
        let (one, two) = (clocks(), clocks());
        assert!(one.monotonic_ns < two.monotonic_ns);
        let drift = (two.realtime_ns - one.realtime_ns) - (two.monotonic_ns - one.monotonic_ns).cast_signed();
        assert!(drift.abs() < 10_000_000, "{drift} ns between the clocks of two reads");
        assert!(one.boottime_ns >= one.monotonic_ns - 1_000_000);
    }
}
