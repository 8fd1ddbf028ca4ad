//! What was not recorded, in a line of words: the log itself has no line for it, so a verb that prints a log says it apart.

use super::escape::escape;
use super::line::name_text;
use crate::model::{Skipped, SkippedKind};

/// What was not recorded and why, in one line without a full stop: `app:query in /usr/bin/app: REASON`.
#[must_use]
pub fn skipped_text(skipped: &Skipped) -> String {
    let count = |one: &str, more: &str| match skipped.count {
        0 => more.to_owned(),
        1 => format!("1 {one}"),
        many => format!("{many} {more}"),
    };
    let file = if skipped.path.is_empty() { &skipped.program } else { &skipped.path };
    let of_probe = !skipped.probe.is_empty();
    let name = || name_text(&skipped.provider, &skipped.probe);
    let mut text = match skipped.kind {
        SkippedKind::Sites if of_probe && skipped.count <= 1 => name(),
        SkippedKind::Sites if of_probe => format!("{} of {}", count("site", "sites"), name()),
        SkippedKind::Sites => count("site", "sites"),
        SkippedKind::Files if !file.is_empty() && skipped.count <= 1 => String::new(),
        SkippedKind::Files => count("file", "files"),
        SkippedKind::Processes if skipped.pid != 0 => format!("process {}", skipped.pid),
        SkippedKind::Processes => count("process", "processes"),
        SkippedKind::Events if of_probe => format!("{} of {}", count("event", "events"), name()),
        SkippedKind::Events => count("event", "events"),
        SkippedKind::Unknown(byte) => format!("something of kind {byte}"),
    };
    if !file.is_empty() {
        text.push_str(if text.is_empty() { "" } else { " in " });
        text.push_str(&escape(file));
    }
    if skipped.pid != 0 && skipped.kind != SkippedKind::Processes {
        text.push_str(&format!(" (process {})", skipped.pid));
    }
    format!("{text}: {}", escape(&skipped.reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_words() {
        let site = Skipped {
            count: 1,
            path: "/bin/a\nb".into(),
            provider: "app".into(),
            probe: "query".into(),
            reason: "no \x1b reason".into(),
            ..Skipped::default()
        };
        let none = || Skipped { reason: "why".into(), ..Skipped::default() };
        let of = |kind, count| Skipped { kind, count, ..none() };
        let cases = [
            (site.clone(), r"app:query in /bin/a\nb: no \x1b reason"),
            (Skipped { count: 3, ..site.clone() }, r"3 sites of app:query in /bin/a\nb: no \x1b reason"),
            (Skipped { pid: 7, ..site.clone() }, r"app:query in /bin/a\nb (process 7): no \x1b reason"),
            (Skipped { program: "p".into(), count: 2, ..none() }, "2 sites in p: why"),
            (Skipped { path: "/x".into(), ..of(SkippedKind::Files, 1) }, "/x: why"),
            (of(SkippedKind::Files, 0), "files: why"),
            (Skipped { pid: 7, program: "p".into(), ..of(SkippedKind::Processes, 1) }, "process 7 in p: why"),
            (of(SkippedKind::Processes, 2), "2 processes: why"),
            (of(SkippedKind::Processes, 1), "1 process: why"),
            (of(SkippedKind::Events, 9), "9 events: why"),
            (
                Skipped { kind: SkippedKind::Events, count: 1, path: String::new(), ..site },
                "1 event of app:query: no \\x1b reason",
            ),
            (of(SkippedKind::Unknown(9), 1), "something of kind 9: why"),
        ];
        for (skipped, text) in cases {
            assert_eq!(skipped_text(&skipped), text);
        }
    }
}
