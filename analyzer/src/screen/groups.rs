//! Latencies for each value of something, as parts of a report.

use serde_json::{Value, json};
use tracer_format::log::escape;

use super::json::latency as latency_members;
use crate::analysis::group::{GroupBy, GroupTable, SpanGroup};
use crate::analysis::{Latency, StageReport};
use crate::report::{Align, Table, counted, latency};
use crate::stage::Stage;

/// Values of a stage that are shown.
const SHOWN: usize = 10;

/// A table for each stage that has values.
pub(super) fn tables(by: GroupBy, groups: &[GroupTable], stages: &[StageReport]) -> Vec<Table> {
    let with_values = groups.iter().filter(|table| !table.groups.is_empty());
    let is_usable = |table: &&GroupTable| stages[table.stage as usize].is_usable();
    let mut with_values: Vec<&GroupTable> = with_values.filter(is_usable).collect();
    with_values.sort_by_key(|table| std::cmp::Reverse(table.sum_ns()));
    with_values.iter().map(|table| self::table(by, table, &stages[table.stage as usize].stage.name)).collect()
}

fn table(by: GroupBy, groups: &GroupTable, stage: &str) -> Table {
    let mut table = Table::new("", &[]);
    let right = ["spans", "time", "p50", "p90", "p99", "max"].map(|name| (name.to_owned(), Align::Right));
    table.columns.extend(right);
    table.columns.push((format!("{} by {by}", escape(stage)), Align::Left));
    table.optional = vec!["p90"];
    table.narrow = vec!["max", "time", "p50"];
    let sum_ns = groups.sum_ns();
    let mut row = |latency: &Latency, value: String| {
        if latency.count() > 0 {
            table.rows.push(cells(latency, sum_ns, value));
        }
    };
    for SpanGroup { value, latency } in groups.groups.iter().take(SHOWN) {
        row(latency, escape(value).into_owned());
    }
    let mut rest = Latency::default();
    let more = groups.groups.get(SHOWN..).unwrap_or_default();
    more.iter().for_each(|group| rest.merge(&group.latency));
    row(&rest, format!("({} of less time)", counted(more.len() as u64, "value")));
    let hint = if by == GroupBy::Str { "; texts of SQL: --group-by sql" } else { "" };
    row(&groups.others, format!("(values after the first {}{hint})", groups.groups.len()));
    row(&groups.without, "(no value)".to_owned());
    table
}

fn cells(times: &Latency, sum_ns: i128, value: String) -> Vec<String> {
    let share = 100.0 * times.sum_ns() as f64 / sum_ns.max(1) as f64;
    let mut cells = vec![times.count().to_string(), format!("{share:.0} %")];
    let figures = times.summary().map(|it| [it.p50, it.p90, it.p99, it.max].map(latency));
    cells.extend(figures.into_iter().flatten());
    cells.push(value);
    cells
}

/// The member `groups` of the JSON of an analysis.
pub(super) fn members(by: GroupBy, groups: &[GroupTable], stages: &[Stage]) -> Value {
    let spans = |latency: &Latency| {
        json!({
            "spans": latency.count(),
            "total_ns": i64::try_from(latency.sum_ns()).unwrap_or(i64::MAX),
            "latency_ns": latency_members(latency),
        })
    };
    let value = |group: &SpanGroup| {
        let mut members = spans(&group.latency);
        members["value"] = group.value.clone().into();
        members
    };
    let table = |table: &GroupTable| {
        json!({
            "stage": stages[table.stage as usize].name,
            "values": table.groups.iter().map(value).collect::<Vec<_>>(),
            "others": spans(&table.others),
            "without_value": spans(&table.without),
        })
    };
    let with_values = groups.iter().filter(|table| !table.groups.is_empty());
    json!({ "by": by.to_string(), "stages": with_values.map(table).collect::<Vec<_>>() })
}
