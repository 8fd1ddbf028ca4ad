//! Strings that are cut and what was not recorded: every reader of a trace shows both.

use tracer_analyzer::file::info;
use tracer_analyzer::picture::{Probes, chrome, perfetto};
use tracer_analyzer::report;
use tracer_analyzer::tables::{Format, Rows, write};
use tracer_analyzer::{Filter, Outcome, Selection};
use tracer_format::{
    ArgKind, Definition, Firing, Process, ProcessId, Site, SiteId, Skipped, SkippedKind, Thread, ThreadId,
    Trace, Writer, WriterOptions,
};

fn partial() -> Vec<u8> {
    let text = |text: &str| text.to_owned();
    let mut writer = Writer::new(Vec::new(), WriterOptions::default()).unwrap();
    writer
        .define(Definition::Process(
            Process { pid: 7, program: text("app").into(), ..Process::default() }.into(),
        ))
        .unwrap();
    writer.define(Definition::Thread(Thread { process: ProcessId(0), tid: 7 })).unwrap();
    let args = vec![ArgKind::Unsigned(8), ArgKind::Str];
    let (provider, probe) = (text("db"), text("query"));
    writer
        .define(Definition::Site(
            Site { provider: provider.into(), probe: probe.into(), args: args.into(), ..Site::default() }
                .into(),
        ))
        .unwrap();
    for (time_ns, string) in [(1000, "whole"), (2000, "beginning")] {
        let string =
            if string == "whole" { writer.intern(b"whole") } else { writer.intern_cut(b"beginning") };
        let values = &[time_ns, string];
        writer
            .push(&Firing { time_ns, thread: ThreadId(0), site: SiteId(0), cpu: 0, unreadable: 0, values })
            .unwrap();
    }
    let facts = [
        Skipped { probe: text("other"), provider: text("db"), count: 1, ..Skipped::default() },
        Skipped { kind: SkippedKind::Processes, pid: 9, program: text("worker"), ..Skipped::default() },
        Skipped { kind: SkippedKind::Files, path: text("/bin/late"), from_ns: 5000, ..Skipped::default() },
    ];
    for skipped in facts {
        writer.define(Definition::Skipped(Skipped { reason: text("why"), ..skipped })).unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn every_export_marks_the_string_that_is_cut() {
    let bytes = partial();
    let trace = Trace::open(&bytes).unwrap();
    let all = Selection::all();
    let table = |format| {
        let mut out = Vec::new();
        write(&trace, &all, Rows::Events, format, &mut out).unwrap();
        out
    };
    let mut exports = vec![table(Format::Csv), table(Format::Arrow)];
    let mut out = Vec::new();
    chrome::export(&trace, &all, &[], Probes::Drawn, &mut out).unwrap();
    exports.push(std::mem::take(&mut out));
    perfetto::export(&trace, &all, &[], Probes::Drawn, &mut out).unwrap();
    exports.push(out);
    let has = |export: &[u8], text: &str| export.windows(text.len()).any(|part| part == text.as_bytes());
    for export in &exports {
        assert!(has(export, "beginning\u{2026}") && has(export, "whole") && !has(export, "whole\u{2026}"));
    }
    let report = report::text(&info::report(&trace, None));
    assert!(report.contains("1 string, of which only the beginning was recorded\n"), "{report}");
}

#[test]
fn what_was_not_recorded_is_selected_as_events_are() {
    let bytes = partial();
    let trace = Trace::open(&bytes).unwrap();
    let skipped = |change: &dyn Fn(&mut Filter)| {
        let mut filter = Filter::default();
        change(&mut filter);
        let outcome = Outcome::of(&trace, &Selection::new(&filter, &trace).unwrap());
        assert_eq!(outcome.is_lossy(), !outcome.skipped.is_empty());
        let name =
            |it: &Skipped| [&it.probe, &it.program, &it.path].into_iter().find(|it| !it.is_empty()).cloned();
        outcome.skipped.iter().filter_map(name).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(skipped(&|_| {}), "other worker /bin/late");
    assert_eq!(skipped(&|filter| filter.probes = vec!["db:query".parse().unwrap()]), "worker /bin/late");
    assert_eq!(skipped(&|filter| filter.probes = vec!["db:o*".parse().unwrap()]), "other worker /bin/late");
    assert_eq!(skipped(&|filter| filter.pids = vec![7]), "other /bin/late");
    assert_eq!(skipped(&|filter| filter.programs = vec!["worker".parse().unwrap()]), "other worker");
    assert_eq!(skipped(&|filter| filter.programs = vec!["late".parse().unwrap()]), "other /bin/late");
    assert_eq!(skipped(&|filter| filter.to = Some("1us".parse().unwrap())), "other worker");
}

#[test]
fn info_has_all_of_it() {
    let bytes = partial();
    let trace = Trace::open(&bytes).unwrap();
    let mut text = Vec::new();
    info::write_json(&trace, None, &mut text).unwrap();
    let document: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let texts: Vec<_> =
        document["skipped"].as_array().unwrap().iter().map(|it| it["text"].as_str()).collect();
    assert_eq!(texts, [Some("db:other: why"), Some("process 9 in worker: why"), Some("/bin/late: why")]);
    assert_eq!(document["skipped"][1]["kind"], "processes");
    assert_eq!(document["cut_strings"], 1);
}
