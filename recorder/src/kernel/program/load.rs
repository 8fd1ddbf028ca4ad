//! The programs of the object go to the kernel.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use aya_obj::Object;
use aya_obj::generated::bpf_insn;

use super::TRACEPOINTS;
use crate::error::{Error, Result};
use crate::kernel::bpf::{self, AttachType, ProgramType};
use crate::kernel::code::Code;

/// Loads the program for attaching many sites at once; the inner error is that this kernel cannot do that. Before Linux
/// 6.6 some kernels load it all the same, because they ignore the attach type, and then refuse every link. So the kernel
/// is asked for a link to what is no file: one that knows such links says so, any other finds the request invalid.
pub(super) fn load_multi(site: &Code) -> Result<io::Result<OwnedFd>> {
    let program = match site.load(AttachType::UprobeMulti) {
        Err(Error::Unsupported { source, .. }) => return Ok(Err(source)),
        other => other?,
    };
    let sites = bpf::UprobeSites { offsets: &[0], semaphore_offsets: &[0], cookies: &[0] };
    match bpf::link_uprobe_multi(program.as_fd(), c"/", &sites, None) {
        Err(error) if error.raw_os_error() != Some(libc::EBADF) => Ok(Err(error)),
        _ => Ok(Ok(program)),
    }
}

/// Loads a program that does nothing: the floor of what a firing can cost. For benchmarks.
///
/// # Errors
/// As [`Program::load`].
#[doc(hidden)]
pub fn load_empty() -> Result<OwnedFd> {
    // r0 = 0; exit
    let mut zero: bpf_insn = empty_instruction();
    zero.code = 0xb7;
    let mut exit = empty_instruction();
    exit.code = 0x95;
    Code { name: "empty", kind: ProgramType::Kprobe, instructions: vec![zero, exit] }
        .load(AttachType::UprobeMulti)
}

fn empty_instruction() -> bpf_insn {
    bpf_insn { code: 0, _bitfield_align_1: [], _bitfield_1: bpf_insn::new_bitfield_1(0, 0), off: 0, imm: 0 }
}

/// Loads the programs that tell of processes.
pub(super) fn load_watchers(object: &Object) -> Result<Vec<OwnedFd>> {
    let load = |&(_, name): &(_, &'static str)| {
        Code::of(object, name, ProgramType::RawTracepoint)?.load(AttachType::None)
    };
    TRACEPOINTS.iter().map(load).collect()
}
