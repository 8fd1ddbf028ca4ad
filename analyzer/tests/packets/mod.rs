//! A reader of Perfetto traces for the tests: every field that may be there, by its name in Perfetto's protos.

use std::fmt::Write;

/// How a field's value is shown.
enum Kind {
    Uint,
    Int,
    Double,
    Text,
    Message(&'static str),
}
use Kind::{Double, Int, Message, Text, Uint};

/// The fields of each message.
const FIELDS: &[(&str, u32, &str, Kind)] = &[
    ("Trace", 1, "packet", Message("TracePacket")),
    ("TracePacket", 6, "clock_snapshot", Message("ClockSnapshot")),
    ("TracePacket", 8, "timestamp", Uint),
    ("TracePacket", 10, "trusted_packet_sequence_id", Uint),
    ("TracePacket", 11, "track_event", Message("TrackEvent")),
    ("TracePacket", 12, "interned_data", Message("InternedData")),
    ("TracePacket", 13, "sequence_flags", Uint),
    ("TracePacket", 45, "system_info", Message("SystemInfo")),
    ("TracePacket", 59, "trace_packet_defaults", Message("TracePacketDefaults")),
    ("TracePacket", 60, "track_descriptor", Message("TrackDescriptor")),
    ("ClockSnapshot", 1, "clocks", Message("Clock")),
    ("ClockSnapshot", 2, "primary_trace_clock", Uint),
    ("Clock", 1, "clock_id", Uint),
    ("Clock", 2, "timestamp", Uint),
    ("SystemInfo", 1, "utsname", Message("Utsname")),
    ("SystemInfo", 4, "tracing_service_version", Text),
    ("SystemInfo", 8, "num_cpus", Uint),
    ("SystemInfo", 17, "machine_name", Text),
    ("Utsname", 1, "sysname", Text),
    ("Utsname", 2, "version", Text),
    ("Utsname", 3, "release", Text),
    ("Utsname", 4, "machine", Text),
    ("TracePacketDefaults", 58, "timestamp_clock_id", Uint),
    ("InternedData", 1, "event_categories", Message("Interned")),
    ("InternedData", 2, "event_names", Message("Interned")),
    ("InternedData", 3, "debug_annotation_names", Message("Interned")),
    ("Interned", 1, "iid", Uint),
    ("Interned", 2, "name", Text),
    ("TrackDescriptor", 1, "uuid", Uint),
    ("TrackDescriptor", 2, "name", Text),
    ("TrackDescriptor", 3, "process", Message("ProcessDescriptor")),
    ("TrackDescriptor", 4, "thread", Message("ThreadDescriptor")),
    ("TrackDescriptor", 5, "parent_uuid", Uint),
    ("TrackDescriptor", 8, "counter", Message("CounterDescriptor")),
    ("TrackDescriptor", 11, "child_ordering", Uint),
    ("TrackDescriptor", 12, "sibling_order_rank", Uint),
    ("TrackDescriptor", 19, "process_ordering", Uint),
    ("CounterDescriptor", 3, "unit", Uint),
    ("ProcessDescriptor", 1, "pid", Uint),
    ("ProcessDescriptor", 2, "cmdline", Text),
    ("ProcessDescriptor", 3, "legacy_sort_index", Int),
    ("ProcessDescriptor", 6, "process_name", Text),
    ("ThreadDescriptor", 1, "pid", Uint),
    ("ThreadDescriptor", 2, "tid", Uint),
    ("ThreadDescriptor", 5, "thread_name", Text),
    ("TrackEvent", 3, "category_iids", Uint),
    ("TrackEvent", 4, "debug_annotations", Message("DebugAnnotation")),
    ("TrackEvent", 9, "type", Uint),
    ("TrackEvent", 10, "name_iid", Uint),
    ("TrackEvent", 11, "track_uuid", Uint),
    ("TrackEvent", 23, "name", Text),
    ("TrackEvent", 30, "counter_value", Int),
    ("TrackEvent", 47, "flow_ids", Uint),
    ("DebugAnnotation", 1, "name_iid", Uint),
    ("DebugAnnotation", 2, "bool_value", Uint),
    ("DebugAnnotation", 3, "uint_value", Uint),
    ("DebugAnnotation", 4, "int_value", Int),
    ("DebugAnnotation", 5, "double_value", Double),
    ("DebugAnnotation", 6, "string_value", Text),
];

/// A field of a message.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Number(u64),
    Bytes(Vec<u8>),
}

/// The fields of a message, in their order.
pub(crate) fn fields(mut bytes: &[u8]) -> Vec<(u32, Value)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let value = match tag & 7 {
            0 => Value::Number(varint(&mut bytes)),
            1 => Value::Number(u64::from_le_bytes(take(&mut bytes, 8).try_into().expect("eight bytes"))),
            2 => {
                let len = usize::try_from(varint(&mut bytes)).expect("a length");
                Value::Bytes(take(&mut bytes, len).to_vec())
            }
            wire_type => panic!("wire type {wire_type}"),
        };
        fields.push((u32::try_from(tag >> 3).expect("a field's number"), value));
    }
    fields
}

fn take<'a>(bytes: &mut &'a [u8], len: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(len);
    *bytes = rest;
    taken
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return value;
        }
    }
    panic!("a number of more than 64 bits");
}

/// A trace as text, a line for each packet. Fails at a field that is not in the list.
pub(crate) fn text_of(trace: &[u8]) -> String {
    let mut text = String::new();
    for (number, value) in fields(trace) {
        push_field(&mut text, "Trace", number, &value);
        text.push('\n');
    }
    text
}

fn push_field(text: &mut String, message: &str, number: u32, value: &Value) {
    let known = FIELDS.iter().find(|field| field.0 == message && field.1 == number);
    let (_, _, name, kind) = known.unwrap_or_else(|| panic!("{message} has no field {number}"));
    let _ = match (kind, value) {
        (Uint, Value::Number(number)) => write!(text, "{name}: {number}"),
        (Int, Value::Number(number)) => write!(text, "{name}: {}", number.cast_signed()),
        (Double, Value::Number(bits)) => write!(text, "{name}: {:?}", f64::from_bits(*bits)),
        (Text, Value::Bytes(bytes)) => {
            write!(text, "{name}: {:?}", std::str::from_utf8(bytes).expect("UTF-8"))
        }
        (Message(inner), Value::Bytes(bytes)) => {
            let _ = write!(text, "{name} {{ ");
            for (number, value) in fields(bytes) {
                push_field(text, inner, number, &value);
                text.push(' ');
            }
            write!(text, "}}")
        }
        _ => panic!("{message}.{name} is {value:?}"),
    };
}
