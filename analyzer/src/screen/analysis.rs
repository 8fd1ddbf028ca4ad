//! An analysis as a report.

use std::collections::{BTreeMap, HashSet};

use tracer_format::log::{escape, skipped_text};

use super::verdict::{has_path, slowest, steps, verdict};
use super::{budget, groups, tree};
use crate::analysis::diagnosis::{Diagnosis, LimitKind, MAX_PATH_STAGES};
use crate::analysis::{Analysis, Latency, StageReport};
use crate::pair::{Class, Side};
use crate::report::{Align, Part, Report, Table, counted, duration, latency, listed};
use crate::select::skipped;
use crate::stage::Stage;

/// How much of what was not recorded is shown; `info` has all.
const SHOWN_SKIPPED: usize = 10;
/// Probes that are listed where there are no stages; `--all` has all.
const SHOWN_PROBES: usize = 20;
/// Keys whose stages are listed.
const KEYS_LISTED: usize = 24;
/// Mark of a figure that lost events may have touched.
const LOSS_MARK: &str = "*";

/// How much of an analysis is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// What answers where the time goes; stages that stand on the path or in the tree have no rows of their own.
    Usual,
    /// All figures.
    All,
}

/// What is shown of `analysis`.
#[must_use]
pub fn report(analysis: &Analysis, detail: Detail) -> Report {
    let names = analysis.probes.iter().filter(|count| count.events > 0);
    let firing: HashSet<(&str, &str)> = names.map(|count| (&count.provider[..], &count.probe[..])).collect();
    let (fired, silent): (Vec<&StageReport>, Vec<&StageReport>) =
        analysis.stages.iter().partition(|report| has_events(report, &firing));
    let mut report = Report { title: title(analysis), ..Report::default() };
    report.table(budget::table(&[("", &analysis.budget)]));
    if fired.is_empty() && analysis.refused.is_empty() {
        let advice = "No stage was seen. Give one with --stage 'NAME = PROVIDER:FROM -> PROVIDER:TO by KEY'.";
        report.parts.push(Part::Line(advice.to_owned()));
        if detail == Detail::Usual {
            report.table(probe_table(analysis, SHOWN_PROBES));
        }
    }
    if let Some(diagnosis) = &analysis.diagnosis {
        report.facts(verdict(diagnosis, start_ns(analysis)));
    }
    let tree = analysis.tree.as_ref().filter(|tree| !tree.nodes.is_empty());
    if let Some(tree) = tree {
        report.facts(vec![tree::headline(tree, &analysis.stages)]);
    }
    if let Some((by, groups)) = &analysis.groups {
        let tables = groups::tables(*by, groups, &analysis.stages);
        if tables.is_empty() {
            report.parts.push(Part::Line(format!("No stage has a value to group by {by}.")));
        }
        tables.into_iter().for_each(|table| report.table(table));
        if detail == Detail::Usual {
            report.notes = notes(analysis, &fired, &silent);
            return report;
        }
    }
    let path = analysis.diagnosis.as_ref().filter(|diagnosis| has_path(diagnosis));
    if let Some(path) = path {
        report.table(steps(path));
    }
    if let Some(tree) = tree {
        report.table(tree::table(tree, &analysis.stages, start_ns(analysis)));
        report.table(tree::slowest(tree, &analysis.stages, start_ns(analysis)));
    }
    let elsewhere = elsewhere(analysis);
    let is_apart = |report: &&&StageReport| {
        detail == Detail::All || !report.is_usable() || !elsewhere.contains(&report.stage.name[..])
    };
    let apart: Vec<&StageReport> = fired.iter().filter(is_apart).copied().collect();
    report.table(stage_table(&apart));
    if detail == Detail::All || path.is_none() {
        report.table(hand_off_table(analysis));
    }
    if let Some(path) = path {
        report.table(slowest(path, &path_key(path, analysis)));
        for other in path.others.iter().filter(|other| has_path(other)) {
            report.facts(verdict(other, start_ns(analysis)));
            report.table(steps(other));
            report.table(slowest(other, &path_key(other, analysis)));
        }
    }
    report.table(class_table(&fired));
    report.notes = notes(analysis, &fired, &silent);
    if detail == Detail::All {
        report.table(probe_table(analysis, usize::MAX));
        report.keep_all_columns();
    }
    report
}

/// The probes that fired, the most frequent ones first.
fn probe_table(analysis: &Analysis, most: usize) -> Table {
    let mut table =
        Table::new("Probes", &[("probe", Align::Left), ("events", Align::Right), ("a second", Align::Right)]);
    let mut fired: Vec<_> = analysis.probes.iter().filter(|count| count.events > 0).collect();
    fired.sort_by_key(|count| std::cmp::Reverse(count.events));
    let duration = analysis.time_ns.map(|(first_ns, last_ns)| last_ns - first_ns).filter(|&ns| ns > 0);
    for count in fired.iter().take(most) {
        let name = escape(&format!("{}:{}", count.provider, count.probe)).into_owned();
        let rate = duration.map(|ns| per_second(count.events as f64 * 1e9 / ns as f64));
        table.rows.push(vec![name, count.events.to_string(), rate.unwrap_or_else(|| "-".to_owned())]);
    }
    if let Some(more @ 1..) = fired.len().checked_sub(most) {
        table.below.push(format!("and {more} more, which --all lists"));
    }
    table
}

/// The names of the stages that are on the path or in the tree.
fn elsewhere(analysis: &Analysis) -> HashSet<&str> {
    let mut stages: Vec<u32> = Vec::new();
    if let Some(tree) = &analysis.tree {
        stages.extend(tree.nodes.iter().map(|node| node.stage).chain(tree.overlapping.iter().copied()));
    }
    let paths = analysis.diagnosis.iter().flat_map(|it| std::iter::once(it).chain(&it.others));
    for path in paths.filter(|path| has_path(path)) {
        let at = |side| path.route.edges.iter().filter(move |edge| edge.side == side).map(|edge| edge.stage);
        let begun: HashSet<u32> = at(Side::Begin).collect();
        stages.extend(at(Side::End).filter(|stage| begun.contains(stage)));
    }
    stages.into_iter().map(|stage| &analysis.stages[stage as usize].stage.name[..]).collect()
}

fn start_ns(analysis: &Analysis) -> u64 {
    analysis.time_ns.map_or(0, |(first_ns, _)| first_ns)
}

/// The lines above the tables.
fn title(analysis: &Analysis) -> Vec<String> {
    let probes = analysis.probes.iter().filter(|count| count.events > 0).count();
    let (events, probes) = (counted(analysis.outcome.events, "event"), counted(probes as u64, "probe"));
    let duration = analysis.time_ns.map(|(first_ns, last_ns)| duration(last_ns - first_ns));
    let over = duration.map(|duration| format!(" in {duration}")).unwrap_or_default();
    let holes = analysis.outcome.holes_text();
    let loss = holes.map(|holes| format!("{holes}; figures that this may touch are marked *"));
    let mut lines =
        vec![format!("{events} of {probes}{over}"), loss.unwrap_or_else(|| "no events lost".to_owned())];
    lines.extend(buffers_line(analysis));
    lines.extend(threads_line(analysis));
    let skipped = &analysis.outcome.skipped;
    let shown: Vec<_> = skipped::first(skipped, SHOWN_SKIPPED).collect();
    lines.extend(shown.iter().map(|skipped| format!("not recorded: {}", skipped_text(skipped))));
    if let more @ 1.. = skipped.len() - shown.len() {
        lines.push(format!("and {more} more, which tracer info lists"));
    }
    lines
}

/// How many buffers passed, by which key, and how often they come and go.
fn buffers_line(analysis: &Analysis) -> Option<String> {
    let diagnosis = analysis.diagnosis.as_ref().filter(|diagnosis| has_path(diagnosis))?;
    let key = path_key(diagnosis, analysis);
    let buffers = counted(diagnosis.buffers, "buffer");
    let rates = diagnosis.limit.rates;
    let rates = rates.map(|it| format!("; {} in, {} out", per_second(it.in_per_s), per_second(it.out_per_s)));
    Some(format!("{buffers} by {key}{}", rates.unwrap_or_default()))
}

/// The key of the path's buffers.
fn path_key(diagnosis: &Diagnosis, analysis: &Analysis) -> String {
    let first = diagnosis.route.edges.first();
    first.map_or_else(String::new, |edge| analysis.stages[edge.stage as usize].stage.key_text())
}

/// How many threads there are, and how often they do what they do most.
fn threads_line(analysis: &Analysis) -> Option<String> {
    let tree = analysis.tree.as_ref()?;
    let outer = tree.nodes.iter().find(|node| node.depth == 0)?;
    let (first_ns, last_ns) = analysis.time_ns.filter(|(first_ns, last_ns)| last_ns > first_ns)?;
    let rate = outer.latency.count() as f64 * 1e9 / (last_ns - first_ns) as f64;
    let stage = &analysis.stages[outer.stage as usize].stage;
    let (threads, name) = (counted(tree.threads, "thread"), escape(&stage.name));
    Some(format!("{threads}; {name} {} by {}", per_second(rate), stage.key_text()))
}

fn per_second(rate: f64) -> String {
    format!("{}/s", crate::report::rate(rate))
}

/// Latencies of the stages.
fn stage_table(reports: &[&StageReport]) -> Table {
    let mut table = latency_table("Stages", "stage", "spans");
    for report in reports {
        let touched = report.complete_near_loss > 0;
        let name = escape(&report.stage.name);
        if report.is_usable() {
            table.rows.push(latency_cells(&name, &report.latency, touched));
        } else {
            let (begins, ends) = report.begins_and_ends();
            let mut cells = latency_cells(&name, &Latency::default(), touched);
            cells[1] = format!("{} of {}", report.latency.count(), begins.max(ends));
            table.rows.push(cells);
        }
    }
    table
}

/// Latencies of the hand-offs.
fn hand_off_table(analysis: &Analysis) -> Table {
    let stages: Vec<Stage> = analysis.stages.iter().map(|report| report.stage.clone()).collect();
    let mut table = latency_table("Hand-offs", "hand-off", "count");
    for report in &analysis.hand_offs {
        let name = report.name(&stages);
        table.rows.push(latency_cells(&escape(&name), &report.latency, report.near_loss > 0));
    }
    table
}

/// Spans that are not complete, for the stages that have any, and those that were overtaken.
fn class_table(reports: &[&StageReport]) -> Table {
    let mut columns = vec![("not complete", Align::Left)];
    let is_there = |class: &Class| reports.iter().any(|report| report.classes.of(*class) > 0);
    let classes: Vec<Class> = Class::ALL[1..].iter().copied().filter(is_there).collect();
    columns.extend(classes.iter().map(|class| (class_title(*class), Align::Right)));
    let has_inverted = is_there(&Class::Inverted);
    columns.extend([("inverted by", Align::Right)].into_iter().filter(|_| has_inverted));
    let has_reordered = reports.iter().any(|report| report.reordered > 0);
    columns.extend([("reordered", Align::Right)].into_iter().filter(|_| has_reordered));
    let mut table = Table::new("Not complete", &columns);
    table.narrow = vec!["inverted by", "reordered"];
    for report in reports {
        let counts: Vec<u64> = classes.iter().map(|&class| report.classes.of(class)).collect();
        if counts.iter().all(|&count| count == 0) && report.reordered == 0 {
            continue;
        }
        let mark = if report.other_near_loss > 0 { LOSS_MARK } else { "" };
        let mut cells = vec![format!("{}{mark}", escape(&report.stage.name))];
        cells.extend(counts.iter().map(ToString::to_string));
        let by = report.inverted.summary().map(|by| match (latency(by.max), latency(by.min)) {
            (least, most) if least == most => most,
            (least, most) => format!("{least} to {most}"),
        });
        cells.extend(has_inverted.then(|| by.unwrap_or_else(|| "-".to_owned())));
        cells.extend(has_reordered.then(|| report.reordered.to_string()));
        table.rows.push(cells);
    }
    table
}

fn class_title(class: Class) -> &'static str {
    match class {
        Class::Complete => "complete",
        Class::Open => "open",
        Class::OrphanEnd => "orphan end",
        Class::RepeatedBegin => "repeated begin",
        Class::RepeatedEnd => "repeated end",
        Class::Inverted => "inverted",
    }
}

fn latency_table(title: &'static str, what: &'static str, count: &'static str) -> Table {
    let mut columns = vec![(what, Align::Left)];
    columns
        .extend([count, "min", "mean", "p50", "p90", "p99", "p99.9", "max"].map(|name| (name, Align::Right)));
    let (optional, narrow) = (vec!["min", "p99.9", "mean"], vec!["p90", "max", "spans", "count"]);
    Table { optional, narrow, ..Table::new(title, &columns) }
}

fn latency_cells(name: &str, distribution: &Latency, touched: bool) -> Vec<String> {
    let mark = if touched { LOSS_MARK } else { "" };
    let mut cells = vec![name.to_owned(), format!("{}{mark}", distribution.count())];
    match distribution.summary() {
        Some(it) => cells.extend([it.min, it.mean, it.p50, it.p90, it.p99, it.p999, it.max].map(latency)),
        None => cells.extend(std::iter::repeat_n("-".to_owned(), 7)),
    }
    cells
}

/// The lines below the tables.
fn notes(analysis: &Analysis, fired: &[&StageReport], silent: &[&StageReport]) -> Vec<String> {
    let mut notes = Vec::new();
    for report in fired {
        let name = escape(&report.stage.name);
        if report.without_key > 0 {
            let key = &report.stage.key;
            let events = counted(report.without_key, "event");
            notes.push(format!("{name}: {events} without a key ({key}) left out"));
        }
        if report.given_up > 0 {
            let given_up = counted(report.given_up, "event");
            notes.push(format!("{name}: {given_up} given up unpaired, to bound memory"));
        }
    }
    let without_verdict =
        |it: &&Diagnosis| it.following.is_refused() || (has_path(it) && it.limit.kind == LimitKind::None);
    if let Some(diagnosis) = analysis.diagnosis.as_ref().filter(without_verdict) {
        notes.push(format!("no verdict: {}", diagnosis.limit.text));
    }
    notes.extend(parts_note(analysis));
    notes.extend(key_notes(analysis, fired));
    if analysis.keys_given_up > 0 {
        let keys = counted(analysis.keys_given_up, "key");
        notes.push(format!(
            "{keys} forgotten before all stages were seen, to bound memory: hand-offs may be missing"
        ));
    }
    if analysis.hand_offs_left_out > 0 {
        let hand_offs = counted(analysis.hand_offs_left_out, "hand-off");
        let ways = analysis.hand_offs.len();
        notes.push(format!(
            "{hand_offs} left out: they go other ways than the first {ways}, which are told apart"
        ));
    }
    if !silent.is_empty() {
        let names = listed(silent.iter().map(|report| escape(&report.stage.name)));
        notes.push(format!("no events of the stages {names}"));
    }
    let unused = analysis.probes.iter().filter(|count| count.events == 0).count();
    if unused > 0 {
        notes.push(format!("no events of {unused} of {}", counted(analysis.probes.len() as u64, "probe")));
    }
    notes
}

/// Says that what may be one way of the buffers is shown in parts, if it is.
fn parts_note(analysis: &Analysis) -> Option<String> {
    let first = analysis.diagnosis.as_ref().filter(|diagnosis| has_path(diagnosis))?;
    let stage =
        |path: &Diagnosis| path.route.edges.first().map(|edge| &analysis.stages[edge.stage as usize].stage);
    let kind = |stage: &Stage| (stage.key.clone(), stage.begins[0].provider.clone());
    let of_first = kind(stage(first)?);
    let is_part = |path: &&Diagnosis| stage(path).map(kind).as_ref() == Some(&of_first);
    let paths = 1 + first.others.iter().filter(is_part).count();
    let (key, provider) = (path_key(first, analysis), escape(&of_first.1));
    let most = format!("a path has {MAX_PATH_STAGES} stages at most");
    (paths > 1)
        .then(|| format!("{most}: those of {provider} by {key} are shown in {paths} parts, in their order"))
}

/// By which keys stages are paired, where that is not `seq` for all; and what is wrong with them.
fn key_notes(analysis: &Analysis, fired: &[&StageReport]) -> Vec<String> {
    let mut notes = Vec::new();
    let mut by_key: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for report in fired {
        by_key.entry(report.stage.key_text()).or_default().push(escape(&report.stage.name).into_owned());
    }
    if by_key.keys().any(|key| key != "seq") {
        let lists = by_key.iter().map(|(key, names)| format!("{key}: {}", listed(names)));
        notes.push(format!("paired by {}", lists.take(KEYS_LISTED).collect::<Vec<_>>().join("; by ")));
    }
    let named = |wanted: fn(&StageReport) -> bool| {
        let wanted = fired.iter().filter(|report| wanted(report));
        listed(wanted.map(|report| escape(&report.stage.name)))
    };
    let unconfirmed = named(|report| !report.evidence.confirmed && !report.evidence.few);
    if !unconfirmed.is_empty() {
        notes.push(format!("no argument confirms the key of {unconfirmed}"));
    }
    let few = named(|report| report.evidence.few);
    if !few.is_empty() {
        notes.push(format!("too few events to choose the key of {few}"));
    }
    for report in fired.iter().filter(|report| !report.is_usable()) {
        let (begins, ends) = report.begins_and_ends();
        if begins == 0 || ends == 0 {
            // The table of what is not complete says it all.
            continue;
        }
        let (complete, key) = (report.latency.count(), &report.stage.key);
        notes.push(format!(
            "{}: only {complete} of {begins} begins and {ends} ends belong together by {key}",
            escape(&report.stage.name)
        ));
    }
    let refused = analysis.refused.iter();
    notes.extend(refused.map(|refused| format!("{}: {}", escape(&refused.stage.name), refused.text())));
    notes
}

/// Whether one of the stage's probes is among those that fired.
fn has_events(report: &StageReport, firing: &HashSet<(&str, &str)>) -> bool {
    let mut probes = report.stage.begins.iter().chain(&report.stage.ends);
    probes.any(|it| firing.contains(&(&it.provider[..], &it.probe[..])))
}
