//! What a trace says of the machine that it is from: clocks, kernel, tool.

use tracer_format::{Definitions, Trace};

use super::packet::{NameUse, push_packet};
use super::wire::{push_message, push_text, push_uint};
use crate::select::clock::anchors;

/// Builtin clocks of Perfetto.
const REALTIME: u64 = 1;
pub(super) const MONOTONIC: u64 = 3;
const BOOTTIME: u64 = 6;

/// Appends the clock anchors, and says that times are CLOCK_MONOTONIC.
pub(super) fn push_clocks(out: &mut Vec<u8>, trace: &Trace<'_>, start_ns: u64) {
    let mut snapshot = |clocks: &[(u64, u64)]| {
        push_packet(out, NameUse::Unused, |out| {
            push_message(out, 6, |out| {
                for &(clock, time_ns) in clocks {
                    push_message(out, 1, |out| {
                        push_uint(out, 1, clock);
                        push_uint(out, 2, time_ns);
                    });
                }
                push_uint(out, 2, MONOTONIC);
            });
        });
    };
    let anchors = anchors(trace);
    if anchors.is_empty() {
        snapshot(&[(MONOTONIC, start_ns)]);
    }
    for anchor in anchors {
        let mut clocks = vec![(MONOTONIC, anchor.monotonic_ns), (BOOTTIME, anchor.boottime_ns)];
        clocks.extend(u64::try_from(anchor.realtime_ns).map(|time_ns| (REALTIME, time_ns)));
        snapshot(&clocks);
    }
}

/// Appends what is known of the machine: kernel and tool.
pub(super) fn push_host(out: &mut Vec<u8>, definitions: &Definitions) {
    let Some(host) = definitions.hosts.first() else { return };
    let mut kernel = host.kernel.splitn(3, ' ');
    let mut part = || kernel.next().unwrap_or_default();
    let (name, release, version) = (part(), part(), part());
    push_packet(out, NameUse::Unused, |out| {
        push_message(out, 45, |out| {
            push_message(out, 1, |out| {
                push_known(out, 1, name);
                push_known(out, 2, version);
                push_known(out, 3, release);
                push_known(out, 4, &host.machine);
            });
            push_known(out, 4, &host.tool);
            if host.cpus > 0 {
                push_uint(out, 8, host.cpus.into());
            }
            push_known(out, 17, &host.name);
        });
    });
}

fn push_known(out: &mut Vec<u8>, field: u32, text: &str) {
    if !text.is_empty() {
        push_text(out, field, text);
    }
}
