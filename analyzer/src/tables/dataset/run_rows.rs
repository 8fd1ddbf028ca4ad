//! The table `runs`: a row for each stage of a trace, and one without a stage if the trace has none.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{Array, TimestampMicrosecondArray};
use arrow::array::{ArrayRef, BooleanArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};
use parquet::errors::ParquetError;
use serde_json::json;
use tracer_format::{Host, Site, Trace};

use super::measure::MeasuredTrace;
use super::{Label, recording_of};
use crate::Result;
use crate::analysis::{StageReport, Summary};
use crate::pair::Class;
use crate::select::skipped;
use crate::stage::Stage;
use crate::tables::metadata::Metadata;

/// A row: a stage, and what came of it if it has a key.
struct RunRow<'r> {
    stage: Option<&'r Stage>,
    path_position: Option<i32>,
    report: Option<&'r StageReport>,
    latency: Option<Summary>,
    refused: Option<String>,
}

/// The rows of a trace.
pub(super) fn batch(
    trace: &Trace<'_>,
    measured: &MeasuredTrace,
    label: &Label,
    metadata: Metadata,
) -> Result<RecordBatch> {
    let rows = rows(measured);
    let mut table = RunColumns { rows: &rows, fields: Vec::new(), columns: Vec::new() };
    table.texts("stage", |row| row.stage.map(|stage| stage.name.clone()));
    table.push("path_position", Int32Array::from_iter(rows.iter().map(|row| row.path_position)));
    add_origin(&mut table, trace, label);
    add_whole(&mut table, trace, measured, label);
    add_stage(&mut table);
    let schema = Schema::new_with_metadata(table.fields, HashMap::from_iter(metadata));
    Ok(RecordBatch::try_new(Arc::new(schema), table.columns).map_err(ParquetError::from)?)
}

fn rows(measured: &MeasuredTrace) -> Vec<RunRow<'_>> {
    let with_key =
        measured.analysis.stages.iter().zip(&measured.positions).map(|(report, &path_position)| RunRow {
            stage: Some(&report.stage),
            path_position,
            report: Some(report),
            latency: report.latency.summary(),
            refused: None,
        });
    let none = || RunRow { stage: None, path_position: None, report: None, latency: None, refused: None };
    let refused = measured.chosen.refused.iter().map(|refused| RunRow {
        stage: Some(&refused.stage),
        refused: Some(refused.text()),
        ..none()
    });
    let rows: Vec<_> = with_key.chain(refused).collect();
    if rows.is_empty() { vec![none()] } else { rows }
}

/// What was recorded, where, of which build.
fn add_origin(table: &mut RunColumns<'_, '_>, trace: &Trace<'_>, label: &Label) {
    let definitions = &trace.definitions;
    let hosts = &definitions.hosts;
    let of_hosts = |text: fn(&Host) -> &str| {
        let texts: BTreeSet<&str> =
            hosts.iter().map(|host| text(host)).filter(|text| !text.is_empty()).collect();
        joined(texts)
    };
    table.same("host", of_hosts(|host| &host.name));
    table.same("kernel", of_hosts(|host| &host.kernel));
    table.same("machine", of_hosts(|host| &host.machine));
    table.same("boot_id", of_hosts(|host| &host.boot_id));
    let cpus = hosts.iter().fold(0_u32, |sum, host| sum.saturating_add(host.cpus));
    table.numbers("cpus", |_| i64::from(cpus));
    table.same("tool", of_hosts(|host| &host.tool));
    table.same("command", hosts.first().map(|host| json!(host.command).to_string()));
    table.same("commit_id", label.commit.clone());
    let of_sites = |row: &RunRow<'_>, text: fn(&Site) -> String| {
        let stage = row.stage?;
        let of_stage =
            |site: &&Arc<Site>| stage.begins.iter().chain(&stage.ends).any(|name| name.is_of(site));
        let texts: BTreeSet<String> =
            definitions.sites.iter().filter(of_stage).map(|site| text(site)).collect();
        joined(texts.iter().map(String::as_str).filter(|text| !text.is_empty()))
    };
    table.texts("programs", |row| of_sites(row, |site| site.program.to_string()));
    table.texts("build_ids", |row| {
        of_sites(row, |site| site.build_id.iter().map(|byte| format!("{byte:02x}")).collect())
    });
}

/// The same parts of a text, with commas between; `None` if there are none.
fn joined<'t>(texts: impl IntoIterator<Item = &'t str>) -> Option<String> {
    Some(texts.into_iter().collect::<Vec<_>>().join(", ")).filter(|text| !text.is_empty())
}

/// The trace as a whole, and what is missing in it.
fn add_whole(table: &mut RunColumns<'_, '_>, trace: &Trace<'_>, measured: &MeasuredTrace, label: &Label) {
    let analysis = &measured.analysis;
    let outcome = &analysis.outcome;
    table.require("recording", StringArray::from(vec![recording_of(trace); table.rows.len()]));
    table.numbers("bytes", |_| label.bytes);
    let ts = analysis.realtime_ns.map(|(first_ns, _)| first_ns.div_euclid(1000));
    let ts = TimestampMicrosecondArray::from(vec![ts; table.rows.len()]).with_timezone("UTC");
    table.push("ts", ts);
    table.optional("begin_ns", |_| analysis.time_ns.map(|(first_ns, _)| first_ns));
    table.optional("end_ns", |_| analysis.time_ns.map(|(_, last_ns)| last_ns));
    table.numbers("events", |_| outcome.events);
    table.numbers("lost", |_| outcome.lost);
    table.numbers("gaps", |_| outcome.gaps);
    table.numbers("damaged_bytes", |_| outcome.damaged_bytes());
    table.numbers("not_recorded", |_| skipped::number(&outcome.skipped));
    table.require("whole", BooleanArray::from(vec![!outcome.incomplete; table.rows.len()]));
}

/// What came of the stage.
fn add_stage(table: &mut RunColumns<'_, '_>) {
    table.texts("begins", |row| row.stage.map(Stage::begins_text));
    table.texts("ends", |row| row.stage.map(Stage::ends_text));
    table.texts("key", |row| row.report.map(|report| report.stage.key_text()));
    table.texts("refused", |row| row.refused.clone());
    for class in Class::ALL {
        table.optional(class.name(), |row| row.report.map(|report| report.classes.of(class)));
    }
    table.count("reordered", |report| report.reordered);
    table.count("without_key", |report| report.without_key);
    table.count("given_up", |report| report.given_up);
    table.count("complete_near_loss", |report| report.complete_near_loss);
    table.count("other_near_loss", |report| report.other_near_loss);
    let sum_ns = |row: &RunRow<'_>| row.latency.and(row.report).map(|report| report.latency.sum_ns());
    table.optional("sum_ns", sum_ns);
    table.figure("min_ns", |latency| latency.min);
    table.figure("mean_ns", |latency| latency.mean);
    table.figure("p50_ns", |latency| latency.p50);
    table.figure("p90_ns", |latency| latency.p90);
    table.figure("p99_ns", |latency| latency.p99);
    table.figure("p999_ns", |latency| latency.p999);
    table.figure("max_ns", |latency| latency.max);
}

/// The columns so far.
struct RunColumns<'c, 'r> {
    rows: &'c [RunRow<'r>],
    fields: Vec<Field>,
    columns: Vec<ArrayRef>,
}

impl RunColumns<'_, '_> {
    /// Adds a column; it may be null.
    fn push(&mut self, name: &str, column: impl Array + 'static) {
        self.fields.push(Field::new(name, column.data_type().clone(), true));
        self.columns.push(Arc::new(column));
    }

    /// Adds a column that is never null.
    fn require(&mut self, name: &str, column: impl Array + 'static) {
        self.fields.push(Field::new(name, column.data_type().clone(), false));
        self.columns.push(Arc::new(column));
    }

    fn texts(&mut self, name: &str, text: impl Fn(&RunRow<'_>) -> Option<String>) {
        self.push(name, StringArray::from_iter(self.rows.iter().map(text)));
    }

    /// Adds a text that all rows have.
    fn same(&mut self, name: &str, text: Option<String>) {
        self.texts(name, |_| text.clone());
    }

    /// Adds numbers, at the limit of the type if they are beyond it.
    fn optional<N: TryInto<i64>>(&mut self, name: &str, number: impl Fn(&RunRow<'_>) -> Option<N>) {
        let number = |row| number(row).map(|number| number.try_into().unwrap_or(i64::MAX));
        self.push(name, Int64Array::from_iter(self.rows.iter().map(number)));
    }

    fn count(&mut self, name: &str, count: fn(&StageReport) -> u64) {
        self.optional(name, |row| row.report.map(count));
    }

    fn figure(&mut self, name: &str, figure: fn(Summary) -> i64) {
        self.optional(name, |row| row.latency.map(figure));
    }

    fn numbers<N: TryInto<i64>>(&mut self, name: &str, number: impl Fn(&RunRow<'_>) -> N) {
        let number = |row| number(row).try_into().unwrap_or(i64::MAX);
        self.require(name, Int64Array::from_iter_values(self.rows.iter().map(number)));
    }
}
