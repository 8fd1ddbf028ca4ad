//! What a table's file says of the trace it came from: pairs of names and texts, in the schema or the footer.

use serde_json::json;
use tracer_format::log::skipped_text;
use tracer_format::{Skipped, Trace};

use crate::select::{Outcome, Selection, skipped};

/// Names, all with `tracer.` before them, and texts.
pub(super) type Metadata = Vec<(String, String)>;

/// Gaps, and what was not recorded, that are listed one by one; of all gaps there are sums.
const LISTED_GAPS: usize = 1000;

/// Bytes of the texts of what was not recorded: a file has them several times, escaped in several ways.
const LISTED_BYTES: usize = 1 << 19;

/// What was not recorded, in words, and how much more there is.
fn not_recorded(all: &[Skipped]) -> Vec<String> {
    let mut room = LISTED_BYTES;
    let fits = |text: &String| {
        let is_small = text.len() <= room;
        room -= if is_small { text.len() } else { 0 };
        is_small
    };
    let mut listed: Vec<String> = skipped::first(all, LISTED_GAPS).map(skipped_text).filter(fits).collect();
    let left_out = all.len() - listed.len();
    if left_out > 0 {
        listed.push(format!("and {left_out} more"));
    }
    listed
}

/// What is known when the trace has been opened.
pub(super) fn of_trace(trace: &Trace<'_>, selection: &Selection, table: &str) -> Metadata {
    let hosts = &trace.definitions.hosts;
    let of_hosts = |text: fn(&tracer_format::Host) -> &str| {
        hosts.iter().map(|host| text(host)).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ")
    };
    let gaps: Vec<_> = trace.gaps.iter().filter(|gap| selection.wants_gap(gap)).collect();
    let lost = gaps.iter().fold(0_u64, |sum, gap| sum.saturating_add(gap.count));
    let listed: Vec<_> = gaps
        .iter()
        .take(LISTED_GAPS)
        .map(|gap| json!({ "from_ns": gap.from_ns, "to_ns": gap.to_ns, "cpu": gap.cpu, "lost": gap.count }))
        .collect();
    let skipped = not_recorded(&selection.skipped(&trace.definitions));
    let command = hosts.first().map(|host| json!(host.command).to_string()).unwrap_or_default();
    [
        ("table", table.to_owned()),
        ("host", of_hosts(|host| &host.name)),
        ("kernel", of_hosts(|host| &host.kernel)),
        ("tool", of_hosts(|host| &host.tool)),
        ("command", command),
        ("lost_events", lost.to_string()),
        ("gaps", gaps.len().to_string()),
        ("listed_gaps", json!(listed).to_string()),
        ("not_recorded", if skipped.is_empty() { String::new() } else { json!(skipped).to_string() }),
    ]
    .map(|(name, text)| (format!("tracer.{name}"), text))
    .into_iter()
    .filter(|(_, text)| !text.is_empty())
    .collect()
}

/// What is known when all has been read.
pub(super) fn of_outcome(outcome: &Outcome) -> Metadata {
    let complete = if outcome.incomplete { "false" } else { "true" };
    let pairs = [
        ("events", outcome.events.to_string()),
        ("damaged_bytes", outcome.damaged_bytes().to_string()),
        ("complete_file", complete.to_owned()),
    ];
    pairs.map(|(name, text)| (format!("tracer.{name}"), text)).into()
}
