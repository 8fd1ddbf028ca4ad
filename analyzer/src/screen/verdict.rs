//! A diagnosis as parts of a report: what limits the buffers, what is wrong, where their time goes, and why the slowest were slow.

use tracer_format::log::escape;

use crate::analysis::Latency;
use crate::analysis::diagnosis::{
    Diagnosis, Examples, Fan, Finding, FindingKind, LimitKind, PathStep, Resource, ResourceKind,
};
use crate::report::{Align, Table, counted, duration, latency, listed};

/// What a verdict begins with that finds none.
pub(super) const NO_BOTTLENECK: &str = "NO BOTTLENECK";
/// Findings that are shown.
const SHOWN: usize = 12;

/// What of the buffers in flight Little's law does not tell is shown from this share of them on, and this number.
const RESIDUE: f64 = 0.05;
const RESIDUE_LEAST: f64 = 0.05;
/// Stalls of one program of which the shortest is half as long as the longest, or longer, are alike.
const ALIKE: i64 = 2;
/// Times that a line names.
const SHOWN_TIMES: usize = 5;

/// The verdict and the findings of a trace that begins at `start_ns`; nothing if no buffer passes from stage to stage.
pub(super) fn verdict(diagnosis: &Diagnosis, start_ns: u64) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    if diagnosis.limit.kind != LimitKind::None {
        facts.push((title(diagnosis.limit.kind).to_owned(), escape(&diagnosis.limit.text).into_owned()));
    }
    let lines = lines(&diagnosis.findings, start_ns);
    let more = lines.len().saturating_sub(SHOWN);
    facts.extend(lines.into_iter().take(SHOWN));
    if more > 0 {
        facts.push((String::new(), format!("{}: --format json", counted(more as u64, "line more"))));
    }
    facts
}

/// A line for each finding; stalls of one program that are alike share one.
fn lines(findings: &[Finding], start_ns: u64) -> Vec<(String, String)> {
    let mut groups: Vec<Vec<&Finding>> = Vec::new();
    for finding in findings {
        let is_alike = |group: &&mut Vec<&Finding>| {
            let first = group[0];
            let is_stall = [first, finding].iter().all(|it| it.kind == FindingKind::Stall);
            let longest_ns = first.len_ns.unwrap_or_default();
            is_stall
                && first.program == finding.program
                && ALIKE.saturating_mul(finding.len_ns.unwrap_or_default()) >= longest_ns
        };
        match groups.iter_mut().find(is_alike) {
            Some(group) => group.push(finding),
            None => groups.push(vec![finding]),
        }
    }
    let text = |group: &Vec<&Finding>| {
        if group.len() == 1 { group[0].text.clone() } else { stalls(group, start_ns) }
    };
    groups.iter().map(|group| (word(group[0].kind).to_owned(), escape(&text(group)).into_owned())).collect()
}

/// Stalls that are alike, the longest first.
fn stalls(group: &[&Finding], start_ns: u64) -> String {
    let len =
        |finding: Option<&&Finding>| latency(finding.and_then(|finding| finding.len_ns).unwrap_or_default());
    let mut times: Vec<u64> = group.iter().filter_map(|stall| stall.at_ns).collect();
    times.sort_unstable();
    let named = times.iter().take(SHOWN_TIMES).map(|time_ns| duration(time_ns.saturating_sub(start_ns)));
    let more = if times.len() > SHOWN_TIMES { ", ..." } else { "" };
    let buffers: u64 = group.iter().map(|stall| stall.count).sum();
    format!(
        "{} stood still {} times, {} to {}, at {}{more}; {} in all",
        group[0].program.as_deref().unwrap_or("the machine"),
        group.len(),
        len(group.last()),
        len(group.first()),
        named.collect::<Vec<_>>().join(", "),
        counted(buffers, "buffer"),
    )
}

fn title(kind: LimitKind) -> &'static str {
    match kind {
        LimitKind::Bottleneck => "BOTTLENECK",
        LimitKind::Overload => "OVERLOAD",
        LimitKind::Near => "NEAR ITS LIMIT",
        LimitKind::Untraced => "UNTRACED TIME",
        LimitKind::Unclear => "UNCLEAR",
        LimitKind::Source | LimitKind::None => NO_BOTTLENECK,
    }
}

fn word(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Stall => "! STALL",
        FindingKind::PeriodicStall => "! PERIODIC STALL",
        FindingKind::Lost => "! LOST",
        FindingKind::Missed => "! MISSED",
        FindingKind::Skipped => "! SKIPPED",
        FindingKind::Duplicated => "! TWICE",
        FindingKind::Overtaken => "! OVERTAKEN",
        FindingKind::Inverted => "! INVERTED",
        FindingKind::Period => "! PERIODIC",
        FindingKind::Modes => "! TWO MODES",
        FindingKind::Change => "! CHANGE",
        FindingKind::OneValue => "! ONE VALUE",
        FindingKind::SetApart => "! SET APART",
    }
}

/// The steps of the path with their shares; no row if there is no path.
pub(super) fn steps(diagnosis: &Diagnosis) -> Table {
    let right = ["p50", "p90", "p99", "max", "median", "slowest"].map(|name| (name, Align::Right));
    let mut columns: Vec<_> =
        [("path of a buffer", Align::Left), ("", Align::Left)].into_iter().chain(right).collect();
    columns.push(("over time", Align::Left));
    let mut table = Table::new("Path", &columns);
    table.optional = vec!["over time", "p90"];
    table.narrow = vec!["slowest", "median", "max", ""];
    let shares = diagnosis.shares.median.iter().zip(&diagnosis.shares.slowest);
    let usual_ns = diagnosis.total.summary().map_or(1.0, |summary| summary.p50 as f64);
    let over_time = |at: usize| {
        diagnosis.profile.over_time.get(at).map_or_else(String::new, |means_ns| bars(means_ns, usual_ns))
    };
    let steps = diagnosis.route.steps.iter().zip(&diagnosis.steps).zip(shares).enumerate();
    for (at, ((step, times), (median, slowest))) in steps {
        let kind = if step.stage.is_some() { "work" } else { "wait" };
        let mut cells = vec![escape(&step.name).into_owned(), kind.to_owned()];
        cells.extend(times_of(times));
        cells.extend([median, slowest].map(|share| format!("{:.0} %", 100.0 * share)));
        cells.push(over_time(at));
        table.rows.push(cells);
    }
    let mut cells = vec!["end to end".to_owned(), "total".to_owned()];
    cells.extend(times_of(&diagnosis.total));
    cells.extend([String::new(), String::new(), over_time(diagnosis.steps.len())]);
    table.rows.push(cells);
    table.below.extend(diagnosis.fans.iter().map(|fan| parts(fan, &diagnosis.route.steps)));
    table.below.extend(idle(diagnosis));
    table.below.push(flow(diagnosis));
    table.below.extend(like(diagnosis));
    table
}

/// A letter for each slice of the time: how much longer its mean is than the least of all, beside the usual time of a buffer.
pub(super) fn bars(means_ns: &[Option<f64>], usual_ns: f64) -> String {
    let least_ns = means_ns.iter().flatten().copied().fold(f64::INFINITY, f64::min);
    let bar = |mean_ns: &Option<f64>| match mean_ns.map(|mean_ns| (mean_ns - least_ns) / usual_ns) {
        None => ' ',
        Some(more) if more < 0.25 => '_',
        Some(more) if more < 1.0 => '.',
        Some(more) if more < 4.0 => ':',
        Some(_) => '#',
    };
    means_ns.iter().map(bar).collect()
}

/// Which buffers to look at for each percentile, and of how many that and the course over time tell, if not of all.
fn like(diagnosis: &Diagnosis) -> Option<String> {
    let Examples { p50, p90, p99, max } = diagnosis.profile.examples.last().copied().flatten()?;
    let (some, all) = (diagnosis.profile.sampled, diagnosis.buffers);
    let sampled = if some < all {
        format!("; these, shares, why and over time: of {some} of {}, spread evenly", counted(all, "buffer"))
    } else {
        String::new()
    };
    Some(format!("as slow as p50: {p50}, p90: {p90}, p99: {p99}, max: {max}{sampled}"))
}

/// Whether there is a path.
pub(super) fn has_path(diagnosis: &Diagnosis) -> bool {
    !diagnosis.shares.median.is_empty()
}

/// A stage that works on parts of the buffers.
fn parts(fan: &Fan, steps: &[PathStep]) -> String {
    let within = fan.step.map(|step| format!(" in {}", steps[step].name)).unwrap_or_default();
    let range =
        if fan.least == fan.most { String::new() } else { format!(", {} to {}", fan.least, fan.most) };
    let spread = fan.spread.summary().map(|it| (latency(it.p50), latency(it.max)));
    let spread = spread.map(|(p50, max)| format!("; first begin to last end {p50}, at most {max}"));
    let Fan { name, key, usual, usual_buffers, buffers, .. } = fan;
    let of = format!("{usual} of a buffer{within} ({usual_buffers} of {buffers} buffers{range})");
    escape(&format!("{name} by {key}: {of}{}", spread.unwrap_or_default())).into_owned()
}

/// The stages that threads work at.
fn work(diagnosis: &Diagnosis, resource: &Resource) -> String {
    let route = &diagnosis.route;
    let steps = (resource.first..=resource.last).filter(|&step| route.is_work(step));
    listed(steps.map(|step| &route.steps[step].name[..]))
}

/// What those do that buffers can wait for while they have none: buffers are late to be taken, or there are none.
fn idle(diagnosis: &Diagnosis) -> Vec<String> {
    // Two processes of one program are told apart by what they do.
    let is_alone = |resource: &Resource| {
        let alike = |other: &&Resource| other.kind != ResourceKind::Lock && other.program == resource.program;
        diagnosis.limit.resources.iter().filter(alike).count() == 1
    };
    let line = |resource: &Resource| {
        let (busy, delayed) = (resource.busy?, resource.delayed?);
        let starved = (1.0 - busy - delayed).max(0.0);
        let name = match resource.kind {
            ResourceKind::Lock => format!("{} (one at a time)", diagnosis.route.steps[resource.first].name),
            ResourceKind::Threads | ResourceKind::End if is_alone(resource) => resource.program.clone(),
            ResourceKind::Threads | ResourceKind::End => {
                format!("{} ({})", resource.program, work(diagnosis, resource))
            }
        };
        let [busy, delayed, starved] =
            [busy, delayed, starved].map(|share| format!("{:.0} %", 100.0 * share));
        let name = escape(&name);
        Some(format!("{name}: busy {busy}, idle though a buffer waits {delayed}, nothing to do {starved}"))
    };
    diagnosis.limit.resources.iter().filter_map(line).collect()
}

/// Buffers under way, beside what Little's law makes of it, and those that did not pass all of the path as they should.
fn flow(diagnosis: &Diagnosis) -> String {
    let mean_s = diagnosis.total.summary().map_or(0.0, |summary| summary.mean as f64 / 1e9);
    let rates = diagnosis.limit.rates;
    let in_flight = rates.map(|rates| {
        let little = rates.in_per_s * mean_s;
        let residue = rates.in_flight - little;
        let is_small = residue.abs() < RESIDUE_LEAST.max(RESIDUE * rates.in_flight);
        let residue = if is_small { String::new() } else { format!(", residue {residue:+.2}") };
        format!("in flight {:.2} mean (Little {little:.2}{residue}); ", rates.in_flight)
    });
    let found = |kinds: &[FindingKind]| -> u64 {
        let of_kind = diagnosis.findings.iter().filter(|finding| kinds.contains(&finding.kind));
        of_kind.map(|finding| finding.count).sum()
    };
    format!(
        "{}lost {}, skipped {}, twice {}, overtaken {}",
        in_flight.unwrap_or_default(),
        found(&[FindingKind::Lost, FindingKind::Missed]),
        found(&[FindingKind::Skipped]),
        found(&[FindingKind::Duplicated]),
        diagnosis.overtaken.iter().max().copied().unwrap_or_default(),
    )
}

fn times_of(times: &Latency) -> [String; 4] {
    times.summary().map_or_else(Default::default, |it| [it.p50, it.p90, it.p99, it.max].map(latency))
}

/// The slowest buffers by their `key`, each with its steps and the reason.
pub(super) fn slowest(diagnosis: &Diagnosis, key: &str) -> Table {
    let columns =
        [("slowest", Align::Right), ("took", Align::Right), ("steps", Align::Left), ("why", Align::Left)];
    let mut table = Table::new("Slowest", &columns);
    table.optional = vec!["steps"];
    let steps = diagnosis.route.steps.iter();
    let letters = letters(steps.map(|step| step.stage.is_some().then_some(&step.name[..])));
    let most_ns = diagnosis.slowest.iter().map(|slow| slow.total_ns).max().unwrap_or(1);
    let mut before = "";
    for slow in &diagnosis.slowest {
        let reason = if slow.reason == before { "the same".into() } else { escape(&slow.reason) };
        before = &slow.reason;
        table.rows.push(vec![
            slow.key.to_string(),
            latency(slow.total_ns),
            waterfall(&slow.steps_ns, most_ns, &letters),
            reason.into_owned(),
        ]);
    }
    if let (Some(slow), "seq") = (diagnosis.slowest.first(), key) {
        let number = slow.key;
        table.below.push(format!("more: --worst 10; all events of one: tracer replay FILE --seq {number}"));
    }
    table
}

/// A letter for each step: one of its name for work, `.` for waits, which have none.
pub(super) fn letters<'n>(names: impl Iterator<Item = Option<&'n str>>) -> Vec<char> {
    let mut taken = vec!['.'];
    let letter = |name: Option<&str>| {
        let Some(name) = name else { return '.' };
        let is_free = |letter: &char| letter.is_ascii_alphanumeric() && !taken.contains(letter);
        let letter = name.chars().chain('a'..='z').chain('A'..='Z').find(is_free).unwrap_or('#');
        taken.push(letter);
        letter
    };
    names.map(letter).collect()
}

/// The steps of a buffer one after the other, as wide as they took long; the slowest buffer is `WIDTH` wide.
pub(super) fn waterfall(steps_ns: &[i64], most_ns: i64, letters: &[char]) -> String {
    const WIDTH: f64 = 20.0;
    let at = |time_ns: i64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to WIDTH")]
        let at = (WIDTH * time_ns as f64 / most_ns.max(1) as f64).round().clamp(0.0, WIDTH) as usize;
        at
    };
    let (mut bar, mut time_ns) = (String::new(), 0);
    for (&step_ns, &letter) in steps_ns.iter().zip(letters) {
        let from = at(time_ns);
        time_ns = i64::saturating_add(time_ns, step_ns);
        bar.extend(std::iter::repeat_n(letter, at(time_ns).saturating_sub(from)));
    }
    bar
}
