//! What was not recorded, as members of JSON documents.

use serde_json::{Value, json as value};
use tracer_format::log::skipped_text;
use tracer_format::{Skipped, SkippedKind};

/// Something that was not recorded; what is not known of it is empty, 0 or null.
pub(crate) fn json(skipped: &Skipped) -> Value {
    let kind = match skipped.kind {
        SkippedKind::Sites => "sites",
        SkippedKind::Files => "files",
        SkippedKind::Processes => "processes",
        SkippedKind::Events => "events",
        SkippedKind::Unknown(_) => "other",
    };
    value!({
        "kind": kind,
        "count": skipped.count,
        "pid": skipped.pid,
        "program": skipped.program,
        "path": skipped.path,
        "provider": skipped.provider,
        "probe": skipped.probe,
        "from_ns": (skipped.from_ns > 0).then_some(skipped.from_ns),
        "until_ns": (skipped.until_ns > 0).then_some(skipped.until_ns),
        "reason": skipped.reason,
        "text": skipped_text(skipped),
    })
}
