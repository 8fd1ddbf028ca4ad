//! What is said of a recording at its end.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracer_analyzer::select::clock;
use tracer_analyzer::stage::Preset;
use tracer_analyzer::{Outcome, Selection};
use tracer_format::log::escape;
use tracer_recorder::find::unmatched;
use tracer_recorder::{SiteTotal, Summary};

use super::files::Opened;
use super::when::{Fired, Slow};
use crate::cli::{RecordArgs, When};
use crate::done::Done;
use crate::file::input::{Input, is_standard, name};
use crate::file::{presets, trace};

/// Files that are described one by one.
const MAX_SHOWN: usize = 10;

/// Says what was recorded, and what is missing. Of several files each is described as it is.
pub(super) fn say(args: &RecordArgs, summary: &Summary, opened: &Opened) {
    let (events, lost, time) = (summary.events, summary.lost, seconds(summary.duration));
    if args.last.is_some() || args.rotate.is_some() {
        let (files, count) = (opened.paths(), opened.count());
        let what = if args.last.is_some() { "snapshots" } else { "files" };
        say!("{events} events, {lost} lost, {time}; {what} written: {count}, there now: {}", files.len());
        for path in files.iter().skip(files.len().saturating_sub(MAX_SHOWN)) {
            match describe(path) {
                Ok(text) => say!("{text}"),
                Err(error) => say!("{error:#}"),
            }
        }
    } else {
        let name = match is_standard(&args.output) {
            true if args.top => "not kept".to_owned(),
            true => "standard output".to_owned(),
            false => name(&args.output),
        };
        say!("{name}: {events} events, {lost} lost, {time}, {}", bytes(summary.bytes, events));
    }
    // What was skipped has been said.
    if summary.sites.is_empty() && summary.skipped.is_empty() {
        let others = if args.all { "" } else { "; -a records every process" };
        let there = escape(&unmatched::of_command(&args.command)).into_owned();
        say!(
            "no matching probe was found: the command and its children have none{there}{others}; see tracer list"
        );
    }
    if let Some(name) = args.stages.preset.as_ref().filter(|_| args.events.is_empty())
        && !args.command.is_empty()
        && !args.all
        && let Ok(preset) = presets::find(name)
    {
        for (stage, program) in silent_programs(&preset, &summary.sites) {
            say!(
                "--preset {name}: no event of {}, which is of {}: of what ran before the command nothing is recorded; -a records it",
                escape(stage),
                escape(program)
            );
        }
    }
    let names = never_fired(&summary.sites);
    if !names.is_empty() {
        say!("never fired: {}", names.join(", "));
    }
}

/// Names of probes of which no site fired, and one was attached all the time.
fn never_fired(sites: &[SiteTotal]) -> Vec<&str> {
    let has_fired = |site: &&SiteTotal| site.recorded + site.lost > 0;
    let fired: HashSet<&str> = sites.iter().filter(has_fired).map(|site| &site.name[..]).collect();
    let silent = sites.iter().filter(|site| !has_fired(site) && !site.skipped).map(|site| &site.name[..]);
    let names: BTreeSet<&str> = silent.filter(|name| !fired.contains(name)).collect();
    names.into_iter().collect()
}

/// Stages of a preset that are of other programs than the command, of which nothing was recorded.
fn silent_programs<'p>(preset: &'p Preset, sites: &[SiteTotal]) -> Vec<(&'p str, &'p str)> {
    let fired: HashSet<&str> =
        sites.iter().filter(|site| site.recorded + site.lost > 0).map(|site| &site.name[..]).collect();
    let has_fired = |name: &str| {
        let stage = preset.stages.iter().map(|draft| &draft.stage).find(|stage| stage.name == name);
        let mut probes = stage.into_iter().flat_map(|stage| stage.begins.iter().chain(&stage.ends));
        probes.any(|probe| fired.contains(&probe.to_string()[..]))
    };
    let programs = preset.programs.iter().filter(|(stage, _)| !has_fired(stage));
    programs.map(|(stage, program)| (&stage[..], &program[..])).collect()
}

/// What a finished file holds.
fn describe(path: &Path) -> anyhow::Result<String> {
    let input = Input::open(path)?;
    let trace = trace::open(&input, path)?;
    let (events, lost) = (trace.events(), Outcome::of(&trace, &Selection::all()).lost);
    let (first_ns, last_ns) = trace.time_range().unwrap_or_default();
    let time = seconds(Duration::from_nanos(last_ns - first_ns));
    let bytes = bytes(input.bytes().len() as u64, events);
    Ok(format!("{}: {events} events, {lost} lost, {time}, {bytes}", name(path)))
}

fn bytes(bytes: u64, events: u64) -> String {
    let per_event = if events == 0 { 0.0 } else { bytes as f64 / events as f64 };
    format!("{bytes} bytes ({per_event:.2} B/event)")
}

/// Says which buffer fired `--when`, when, and how long it took; or that none did.
pub(super) fn say_fired(when: &When, fired: &Fired, opened: &Opened) {
    if let Some(unknown) = fired.unknown(when) {
        say!("{unknown}");
        return;
    }
    let Some(Slow { key, took_ns, ended_ns }) = fired.slow() else {
        say!("--when: no buffer took longer than {:?} in {}", when.limit, when.stage);
        return;
    };
    let wall = opened.paths().last().and_then(|path| wall_time(path, ended_ns).ok().flatten());
    let wall = wall.map_or_else(String::new, |wall| format!(", {wall}"));
    let took = Duration::from_nanos(took_ns);
    say!("--when: {} took {took:.3?} for key {key}, which left it at {ended_ns} ns{wall}", when.stage);
}

/// Wall time of a moment, by the clocks in the trace at `path`.
fn wall_time(path: &Path, monotonic_ns: u64) -> anyhow::Result<Option<String>> {
    let input = Input::open(path)?;
    let trace = trace::open(&input, path)?;
    Ok(clock::realtime_ns(&clock::anchors(&trace), monotonic_ns).map(clock::rfc3339))
}

/// Whether fewer events were recorded than are required, which is said.
pub(super) fn lacks_events(args: &RecordArgs, summary: &Summary, opened: &Opened) -> bool {
    let Some(required) = args.require_events else { return false };
    let of_file = |path: &PathBuf| -> anyhow::Result<u64> {
        let input = Input::open(path)?;
        Ok(trace::open(&input, path)?.events())
    };
    // What a flight recorder saw and forgot is in no file.
    let recorded = if args.last.is_some() {
        opened.paths().iter().filter_map(|path| of_file(path).ok()).sum()
    } else {
        summary.events
    };
    if recorded < required {
        say!("recorded {recorded} events, --require-events asks for {required}");
    }
    recorded < required
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

/// How the recording ended.
pub(super) fn done(summary: &Summary) -> Done {
    if let Some(status) = summary.command
        && !status.success()
    {
        let code = status.code().or_else(|| {
            use std::os::unix::process::ExitStatusExt;
            status.signal().map(|signal| 128 + signal)
        });
        return Done::Command(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1));
    }
    if summary.lost > 0 || !summary.skipped.is_empty() { Done::Lossy } else { Done::All }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_ran_before_the_command_is_named() {
        let preset = presets::find("libvirt").unwrap();
        let site = |name: &str, recorded| SiteTotal {
            name: name.to_owned(),
            program: "virsh".to_owned(),
            recorded,
            lost: 0,
            skipped: false,
        };
        let client = site("libvirt:rpc_client_msg_tx_queue", 5);
        let daemon = |recorded| site("libvirt:rpc_server_client_msg_rx", recorded);
        let found = |sites: &[SiteTotal]| {
            silent_programs(&preset, sites).into_iter().map(|it| it.0.to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(found(&[client, daemon(0)]), ["serve"]);
        assert_eq!(found(&[daemon(3)]), Vec::<String>::new());
    }

    #[test]
    fn a_probe_of_which_one_site_fired_has_fired() {
        let site = |name: &str, recorded, skipped| SiteTotal {
            name: name.to_owned(),
            program: String::new(),
            recorded,
            lost: 0,
            skipped,
        };
        let sites = [
            site("a:two", 0, false),
            site("a:two", 7, false),
            site("a:silent", 0, false),
            site("a:silent", 0, true),
            site("a:left_out", 0, true),
            site("a:alone", 0, false),
        ];
        assert_eq!(never_fired(&sites), ["a:alone", "a:silent"]);
    }
}
