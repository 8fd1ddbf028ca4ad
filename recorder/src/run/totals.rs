//! What a recording has cost, and what the kernel could not tell, when it ends.

use tracer_format::Cost;

use crate::drain::Drain;
use crate::error::Result;
use crate::kernel::program::Program;
use crate::write::trace::lost::Lost;

/// What stands at the end of a trace.
pub(super) struct Totals {
    pub(super) cost: Cost,
    pub(super) lost: Lost,
}

impl Totals {
    /// So far.
    pub(super) fn of(drain: &Drain, program: &Program) -> Result<Self> {
        let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let cpu_ns = cpu.tv_sec.saturating_mul(1_000_000_000).saturating_add(cpu.tv_nsec).cast_unsigned();
        let (bpf_ns, bpf_runs) = program.run_time()?;
        let (wakeups, drained_bytes) = (drain.wakeups, drain.drained_bytes);
        let cost = Cost { bpf_ns, bpf_runs, cpu_ns, wakeups, drained_bytes };
        Ok(Self { cost, lost: Lost { processes: program.lost_processes()?, by_process: program.losses() } })
    }
}
