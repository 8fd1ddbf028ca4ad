//! The metadata: a text in TSDL, the language of CTF 1.8, that says what the bytes of the streams mean.

use std::fmt::Write as _;

use tracer_format::log::escape;
use tracer_format::{Definitions, Gap, Known};

use super::class::{EventClass, FieldType};
use crate::select::clock::anchors;

/// Class of the streams of processors.
pub(super) const OF_CPU: u32 = 0;
/// Class of the stream of losses without a processor.
pub(super) const OF_NO_CPU: u32 = 1;

const TYPES: &str = "\
/* CTF 1.8 */

typealias integer { size = 32; align = 8; signed = false; } := uint32_t;
typealias integer { size = 32; align = 8; signed = true; } := int32_t;
typealias integer { size = 64; align = 8; signed = false; } := uint64_t;
typealias integer { size = 64; align = 8; signed = true; } := int64_t;
typealias integer { size = 8; align = 8; signed = false; } := uint8_t;
typealias floating_point { exp_dig = 8; mant_dig = 24; align = 8; } := float32_t;
typealias floating_point { exp_dig = 11; mant_dig = 53; align = 8; } := float64_t;
";

/// Appends all that stands before the classes of events.
pub(super) fn push_head(out: &mut Vec<u8>, trace: &Known, uuid: [u8; 16]) {
    let mut text = TYPES.to_owned();
    let result = trace_text(&mut text, uuid)
        .and_then(|()| env_text(&mut text, trace))
        .and_then(|()| clock_text(&mut text, trace))
        .and_then(|()| streams_text(&mut text, trace));
    result.expect("a text takes every text");
    out.extend_from_slice(text.as_bytes());
}

fn trace_text(text: &mut String, uuid: [u8; 16]) -> std::fmt::Result {
    let hex: Vec<String> = [0..4, 4..6, 6..8, 8..10, 10..16]
        .map(|part| uuid[part].iter().map(|byte| format!("{byte:02x}")).collect())
        .into();
    writeln!(
        text,
        "\ntrace {{\n\tmajor = 1;\n\tminor = 8;\n\tuuid = \"{}\";\n\tbyte_order = le;\n\t\
         packet.header := struct {{ uint32_t magic; uint8_t uuid[16]; uint32_t stream_id; }};\n}};",
        hex.join("-")
    )
}

fn env_text(text: &mut String, trace: &Known) -> std::fmt::Result {
    let host = trace.definitions.hosts.first();
    let facts = [
        ("hostname", host.map(|host| &host.name)),
        ("kernel", host.map(|host| &host.kernel)),
        ("machine", host.map(|host| &host.machine)),
        ("tool", host.map(|host| &host.tool)),
    ];
    writeln!(text, "\nenv {{")?;
    for (name, fact) in facts {
        writeln!(text, "\t{name} = {};", quoted(fact.map_or("", |fact| fact)))?;
    }
    writeln!(text, "}};")
}

/// The clock of the events; where wall time is known, it begins in 1970.
fn clock_text(text: &mut String, trace: &Known) -> std::fmt::Result {
    writeln!(
        text,
        "\nclock {{\n\tname = \"monotonic\";\n\tdescription = \"CLOCK_MONOTONIC\";\n\tfreq = 1000000000;"
    )?;
    if let Some(uuid) = boot(&trace.definitions) {
        writeln!(text, "\tuuid = \"{uuid}\";")?;
    }
    let offset_ns = anchors(trace).first().and_then(|anchor| i64::try_from(anchor.offset_ns()).ok());
    if let Some(offset_ns) = offset_ns {
        let (seconds, ns) = (offset_ns.div_euclid(1_000_000_000), offset_ns.rem_euclid(1_000_000_000));
        writeln!(text, "\toffset_s = {seconds};\n\toffset = {ns};\n\tabsolute = TRUE;")?;
    }
    writeln!(
        text,
        "}};\n\ntypealias integer {{ size = 64; align = 8; signed = false; map = clock.monotonic.value; }} := time_t;"
    )
}

/// The boot that the clock is of: readers take traces with the same one, such as those of LTTng, for those of one machine.
fn boot(definitions: &Definitions) -> Option<&str> {
    let [host] = &definitions.hosts[..] else { return None };
    let lens = host.boot_id.split('-').map(str::len);
    let is_uuid = lens.eq([8, 4, 4, 4, 12])
        && host.boot_id.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    is_uuid.then_some(&host.boot_id)
}

fn streams_text(text: &mut String, trace: &Known) -> std::fmt::Result {
    let host = if has_hosts(&trace.definitions) { " string host;" } else { "" };
    let context = "time_t timestamp_begin; time_t timestamp_end; uint64_t content_size; uint64_t packet_size; \
                   uint64_t events_discarded;";
    writeln!(
        text,
        "\nstream {{\n\tid = {OF_CPU};\n\tpacket.context := struct {{ {context} uint32_t cpu_id;{host} }};\n\t\
         event.header := struct {{ uint32_t id; time_t timestamp; }};\n\t\
         event.context := struct {{ int32_t vpid; int32_t vtid; string procname; }};\n}};"
    )?;
    if trace.gaps.iter().any(|gap| gap.cpu == Gap::ANY_CPU) {
        writeln!(
            text,
            "\nstream {{\n\tid = {OF_NO_CPU};\n\tpacket.context := struct {{ {context}{host} }};\n\t\
             event.header := struct {{ uint32_t id; time_t timestamp; }};\n}};"
        )?;
    }
    Ok(())
}

/// Appends the description of a class of events.
pub(super) fn push_event_class(out: &mut Vec<u8>, id: u32, class: &EventClass) {
    let mut text = format!(
        "\nevent {{\n\tname = {};\n\tid = {id};\n\tstream_id = {OF_CPU};\n\tfields := struct {{",
        in_quotes(&class.name)
    );
    for (name, kind) in &class.fields {
        let kind = match kind {
            FieldType::Signed => "int64_t",
            FieldType::Unsigned => "uint64_t",
            FieldType::Float => "float32_t",
            FieldType::Double => "float64_t",
            FieldType::Text => "string",
        };
        text.push_str(&format!(" {kind} {name};"));
    }
    text.push_str(" };\n};\n");
    out.extend_from_slice(text.as_bytes());
}

/// Whether a packet says which host it is of.
pub(super) fn has_hosts(definitions: &Definitions) -> bool {
    definitions.hosts.len() > 1
}

/// A text from the trace between quotes: it ends nothing, and drives no terminal.
fn quoted(text: &str) -> String {
    in_quotes(&escape(text))
}

/// The same of a text whose control characters are escaped already.
fn in_quotes(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
