//! What is said of a recording at its end.

use std::time::Duration;

use tracer_recorder::Summary;

use crate::cli::RecordArgs;
use crate::done::Done;
use crate::file::input::is_standard;

/// Says what was recorded, and what is missing.
pub(super) fn say(args: &RecordArgs, summary: &Summary) {
    let name =
        if is_standard(&args.output) { "standard output".into() } else { args.output.display().to_string() };
    let per_event = if summary.events == 0 { 0.0 } else { summary.bytes as f64 / summary.events as f64 };
    say!(
        "{name}: {} events, {} lost, {}, {} bytes ({per_event:.2} B/event)",
        summary.events,
        summary.lost,
        seconds(summary.duration),
        summary.bytes,
    );
    if summary.sites.is_empty() {
        let others = if args.all { "" } else { "; -a records every process" };
        say!("no matching probe was found: the command and its children have none{others}; see tracer list");
    }
    let silent: Vec<_> =
        summary.sites.iter().filter(|site| site.recorded + site.lost == 0 && !site.skipped).collect();
    let fired =
        |name: &str| summary.sites.iter().any(|site| site.name == name && site.recorded + site.lost > 0);
    let mut names: Vec<_> = silent.iter().map(|site| &site.name[..]).filter(|name| !fired(name)).collect();
    names.sort_unstable();
    names.dedup();
    if !names.is_empty() {
        say!("never fired: {}", names.join(", "));
    }
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
