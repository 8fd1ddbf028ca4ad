//! SPEC.md says what the code does: the tables of structures, kinds, flags and limits are compared with it, both ways.

use std::mem::offset_of;

use tracer_format::block::{BLOCK_HEADER_BYTES, BLOCK_MAGIC, BlockHeader, flag, kind};
use tracer_format::header::{FileHeader, MAGIC, VERSION};
use tracer_format::index::{FOOTER_BLOCK_BYTES, Footer, IndexRow, TRAILER};
use tracer_format::{StoredClock, StoredGap, limits};

const SPEC: &str = include_str!("../SPEC.md");

/// The rows of the first table after `heading`, cell by cell.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let start = SPEC.find(heading).unwrap_or_else(|| panic!("SPEC.md has no {heading:?}"));
    let lines = SPEC[start..].lines().skip_while(|line| !line.starts_with('|'));
    let rows = lines.take_while(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// A field as the code has it: offset, size, name, type.
type Field = (usize, usize, &'static str, &'static str);

fn size_and_type<S, F>(_: fn(&S) -> &F) -> (usize, &'static str) {
    let name = std::any::type_name::<F>();
    let kind = match name {
        "u8" => "u8",
        _ if name.starts_with("[u8") => "bytes",
        _ if name.contains("U16<") => "u16",
        _ if name.contains("U32<") => "u32",
        _ if name.contains("U64<") => "u64",
        _ if name.contains("I64<") => "i64",
        other => panic!("a field of type {other}"),
    };
    (size_of::<F>(), kind)
}

macro_rules! fields {
    ($type:ty: $($field:ident)+) => {{
        let fields = vec![$({
            let (size, kind) = size_and_type(|all: &$type| &all.$field);
            (offset_of!($type, $field), size, stringify!($field), kind)
        }),+];
        let sum: usize = fields.iter().map(|(_, size, _, _)| size).sum();
        assert_eq!(sum, size_of::<$type>(), "a field of {} is left out here", stringify!($type));
        fields
    }};
}

#[track_caller]
fn same_layout(heading: &str, code: &[Field]) {
    let spec: Vec<Field> = table(heading)
        .iter()
        .map(|row| (row[0].parse().expect("an offset"), row[1].parse().expect("a size"), row[2], row[3]))
        .collect();
    assert_eq!(spec, code, "{heading}");
}

#[test]
fn structures_are_as_the_spec_says() {
    let header = fields!(FileHeader: magic version unused trace_id unused_too checksum);
    same_layout("### 5.1 File header", &header);
    let block = fields!(BlockHeader: magic kind flags unused stored_bytes trace_id count sequence first_ns
        last_ns key_min key_max content_checksum header_checksum);
    same_layout("### 5.2 Block header", &block);
    same_layout("### 5.7 Gap", &fields!(StoredGap: host site cpu unused from_ns to_ns count));
    let clock = fields!(StoredClock: host unused monotonic_ns boottime_ns realtime_ns tai_ns);
    same_layout("### 5.8 Clock anchor", &clock);
    let row = fields!(IndexRow: offset kind flags unused stored_bytes count first_ns last_ns key_min key_max);
    same_layout("### 5.9 Index row", &row);
    let footer = fields!(Footer: trace_bytes restated_offset index_offset events dropped unused trailer);
    same_layout("### 5.10 Footer", &footer);
}

#[test]
fn magics_and_sizes_are_as_the_spec_says() {
    let hex = |bytes: [u8; 8]| bytes.map(|byte| format!("{byte:02x}")).join(" ");
    for (heading, bytes) in
        [("### 5.1 File header", MAGIC), ("### 5.2 Block header", BLOCK_MAGIC), ("### 5.10 Footer", TRAILER)]
    {
        let said = table(heading).iter().any(|row| row[4].starts_with(&format!("`{}`", hex(bytes))));
        assert!(said, "{heading}: {}", hex(bytes));
    }
    assert!(SPEC.contains(&format!("This is version {VERSION} of the format")));
    assert!(table("### 5.1 File header")[1][4].ends_with(&format!(": {VERSION}")));
    assert!(SPEC.contains(&format!("With its block header it takes {FOOTER_BLOCK_BYTES} bytes")));
    assert!(SPEC.contains(&format!("{BLOCK_HEADER_BYTES} bytes, before the stored bytes of each block")));
}

#[test]
fn kinds_and_flags_are_as_the_spec_says() {
    let kinds: Vec<(u8, &str)> =
        table("### 5.3 Kinds").iter().map(|row| (row[0].parse().expect("a number"), row[1])).collect();
    let code = [
        (kind::DEFINITIONS, "definitions"),
        (kind::EVENTS, "events"),
        (kind::GAPS, "gaps"),
        (kind::CLOCKS, "clocks"),
        (kind::INDEX, "index"),
        (kind::FOOTER, "footer"),
        (kind::CUTS, "cuts"),
    ];
    assert_eq!(kinds, code);
    let flags: Vec<(u8, u8, &str)> = table("### 5.4 Flags")
        .iter()
        .map(|row| (row[0].parse().expect("a bit"), row[1].parse().expect("a value"), row[2]))
        .collect();
    assert_eq!(
        flags,
        [(0, flag::REQUIRED, "required"), (1, flag::RESTATED, "restated"), (2, flag::CUT, "cut")]
    );
}

/// Numbers that only the crate itself uses: its source says what they are.
#[test]
fn private_numbers_are_as_the_spec_says() {
    let sources = [
        ("| kind | name | fields", include_str!("../src/encode/definition.rs"), "pub(super) const "),
        ("| predictor | name", include_str!("../src/encode/predict.rs"), "pub(crate) const "),
        ("| form | name", include_str!("../src/encode/column.rs"), "pub(super) const "),
    ];
    for (heading, source, constant) in sources {
        let spec: Vec<String> = table(heading)
            .iter()
            .map(|row| format!("{constant}{}: u8 = {};", row[1].to_uppercase(), row[0]))
            .collect();
        let code: Vec<&str> = source
            .lines()
            .map(str::trim)
            .filter(|line| line.starts_with(constant) && line.contains(": u8 = "))
            .collect();
        assert_eq!(spec, code, "{heading}");
    }
}

#[test]
fn limits_are_as_the_spec_says() {
    let spec: Vec<(&str, usize)> =
        table("## 12. Limits").iter().map(|row| (row[0], row[1].parse().expect("a number"))).collect();
    let code = [
        ("MAX_BLOCK_EVENTS", limits::MAX_BLOCK_EVENTS),
        ("MAX_BLOCK_VALUES", limits::MAX_BLOCK_VALUES),
        ("MAX_BLOCK_STRING_BYTES", limits::MAX_BLOCK_STRING_BYTES),
        ("MAX_BLOCKS", limits::MAX_BLOCKS),
        ("MAX_STORED_BYTES", limits::MAX_STORED_BYTES),
        ("MAX_DEFINITIONS_BYTES", limits::MAX_DEFINITIONS_BYTES),
        ("MAX_DEFINITIONS", limits::MAX_DEFINITIONS),
        ("MAX_DEFINITIONS_WEIGHT", limits::MAX_DEFINITIONS_WEIGHT),
        ("MIN_DEFINITIONS_WEIGHT", limits::MIN_DEFINITIONS_WEIGHT),
        ("WEIGHT_PER_BYTE", limits::WEIGHT_PER_BYTE),
        ("DEFINITION_WEIGHT", limits::DEFINITION_WEIGHT),
        ("WORD_WEIGHT", limits::WORD_WEIGHT),
        ("MAX_BLOCK_RECORDS", limits::MAX_BLOCK_RECORDS),
        ("MAX_ARGUMENTS", limits::MAX_ARGUMENTS),
        ("MAX_NAME_BYTES", limits::MAX_NAME_BYTES),
        ("MAX_COMMAND_WORDS", limits::MAX_COMMAND_WORDS),
        ("MAX_STRING_ARGUMENT_BYTES", limits::MAX_STRING_ARGUMENT_BYTES),
    ];
    assert_eq!(spec, code);
    let constants = include_str!("../src/limits.rs").matches("pub const ").count();
    assert_eq!(constants, code.len(), "a limit is missing here");
}
