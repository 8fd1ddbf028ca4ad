//! An analysis as Markdown: for the summary of a CI job.

use super::text::{class_table, hand_off_table, has_events, head, notes, stage_table};
use crate::analysis::{Analysis, StageReport};

/// Renders `analysis`.
#[must_use]
pub fn markdown(analysis: &Analysis) -> String {
    let mut out = head(analysis).replace('*', "\\*").replace('\n', "  \n");
    let (fired, silent): (Vec<&StageReport>, Vec<&StageReport>) =
        analysis.stages.iter().partition(|report| has_events(report, analysis));
    let tables = [
        (stage_table(&fired, true), "Stages"),
        (hand_off_table(analysis, true), "Hand-offs"),
        (class_table(&fired, true), "Not complete"),
    ];
    for (table, title) in tables.iter().filter(|(table, _)| !table.is_empty()) {
        out.push_str(&format!("\n### {title}\n\n{}", table.text()));
    }
    for note in notes(analysis, &fired, &silent).lines().filter(|line| !line.is_empty()) {
        out.push_str(&format!("\n- {note}"));
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}
