//! Packets of the one sequence that there is: fields of Perfetto's `trace_packet.proto`.

use super::wire::{push_message, push_uint};

/// What a packet is to the names that the sequence has interned; `TracePacket.sequence_flags`.
#[derive(Debug, Clone, Copy)]
pub(super) enum NameUse {
    /// It needs none.
    Unused = 0,
    /// It brings them.
    Begin = 1,
    /// It refers to them.
    Used = 2,
}

/// Appends a packet with the fields that `fill` appends.
pub(super) fn push_packet(out: &mut Vec<u8>, names: NameUse, fill: impl FnOnce(&mut Vec<u8>)) {
    push_message(out, 1, |out| {
        push_uint(out, 10, 1);
        if !matches!(names, NameUse::Unused) {
            push_uint(out, 13, names as u64);
        }
        fill(out);
    });
}

/// Appends the packet of a track event that `fill` appends.
pub(super) fn push_event(out: &mut Vec<u8>, time_ns: u64, fill: impl FnOnce(&mut Vec<u8>)) {
    push_packet(out, NameUse::Used, |out| {
        push_uint(out, 8, time_ns);
        push_message(out, 11, fill);
    });
}
