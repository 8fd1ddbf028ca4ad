//! The page for the browser: whatever a trace holds, it stays small, and its texts stay texts. What a browser makes of it, and that
//! its figures are those of the JSON, is checked by `scripts/validators/report.mjs`.

mod made;

use made::{DOCUMENTED_LOG, log_of, pipeline_log, trace_of};
use tracer_analyzer::Selection;
use tracer_analyzer::analysis::diagnosis::{Watch, diagnose};
use tracer_analyzer::analysis::{Growth, analyze};
use tracer_analyzer::file::info;
use tracer_analyzer::screen::html::{MAX_BYTES, Recording, page};
use tracer_analyzer::screen::plot::OverTime;
use tracer_analyzer::stage::{Key, ProbeName, Stage};
use tracer_format::Trace;

/// The page of a trace with `stages`, called `name`.
fn page_of(bytes: &[u8], stages: &[Stage], name: &str) -> String {
    let trace = Trace::open(bytes).unwrap();
    let selection = Selection::all();
    let time_ns = selection.time_range(&trace);
    let watch = Watch::new(stages, &trace.definitions, time_ns);
    let mut sinks = (OverTime::new(stages.len(), time_ns), (watch, Growth::new(stages)));
    let mut analysis = analyze(&trace, &selection, stages, &mut sinks).unwrap();
    let (over_time, (watch, growth)) = sinks;
    analysis.tree = Some(growth.tree());
    analysis.diagnosis = Some(diagnose(watch, &analysis, 1000));
    let trends = over_time.finish(&analysis);
    let about = info::report(&trace, None);
    page(&Recording { name, trace: &trace, about: &about, analysis: &analysis, trends: &trends }, None)
}

fn stage(name: &str, from: &str, to: &str) -> Stage {
    let probe = |probe: &str| ProbeName { provider: "p".to_owned(), probe: probe.to_owned() };
    Stage::new(name.to_owned(), probe(from), probe(to), Key::seq())
}

/// The names of the tags of a page, without those that only close.
fn tags(page: &str) -> Vec<&str> {
    let names = page.split('<').skip(1).filter(|tag| !tag.starts_with(['/', '!']));
    let names = names.map(|tag| tag.split([' ', '>', '/']).next().unwrap());
    // Directions are set apart in a name that has any.
    names.filter(|&name| name != "bdi").collect()
}

#[test]
fn names_stay_text_wherever_they_stand() {
    let hostile =
        "</title></script><script>alert(1)</script><img src=x onerror=alert(2)>\"'`{{\u{202e}\u{5d0}";
    let events: String = (0..40_u64)
        .map(|key| format!("{}:beg_a:{key} {}:end_a:{key} ", 10 * key + 1, 10 * key + 5 + key % 3))
        .collect();
    let log = log_of(&events).replace("] a    ", "] <b>&\"'\\x1b");
    let page = page_of(&trace_of(&log), &[stage(hostile, "beg_a", "end_a")], hostile);
    let known = page_of(&trace_of(&log_of(&events)), &[stage("a", "beg_a", "end_a")], "a");
    assert_eq!(tags(&page), tags(&known), "the names make no tag");
    assert!(page.contains("&lt;img src=x onerror=alert(2)&gt;&quot;&#39;`{{\\u{202e}&#8296;\u{5d0}"));
    assert!(!page.contains('\u{202e}') && !page.contains('\u{1b}'));
    assert!(page.matches("<script>").count() == 1 && !page.contains("onerror=alert(2)>"));
}

#[test]
fn a_page_is_small_whatever_the_trace_holds() {
    let megabyte = "<\u{5d0}".repeat(1 << 19);
    let probes = |number: usize| (format!("beg_{number}"), format!("end_{number}"));
    let stages: Vec<Stage> = (0..600)
        .map(|number| {
            let (from, to) = probes(number);
            stage(&format!("{number}{}", if number % 97 == 0 { &megabyte } else { "x" }), &from, &to)
        })
        .collect();
    let mut events = String::new();
    for key in 0..40_usize {
        for number in 0..600 {
            let (from, to) = probes(number);
            let at = (key * 600 + number) * 10 + 1;
            events += &format!("{at}:{from}:{key} {}:{to}:{key} ", at + 3 + key);
        }
    }
    let page = page_of(&trace_of(&log_of(&events)), &stages, &megabyte);
    assert!(page.len() <= MAX_BYTES, "{} bytes", page.len());
    assert!(page.contains("letters]") && page.contains("more, which the other verbs list"));
}

#[test]
fn a_way_of_many_stages_has_all_its_figures_and_its_verdict_once() {
    let name = |number: usize| format!("s{number:03}");
    let stages: Vec<Stage> = (0..200)
        .map(|number| stage(&name(number), &format!("beg_{number}"), &format!("end_{number}")))
        .collect();
    let mut events = String::new();
    for key in 0..40_usize {
        for number in 0..200 {
            let at = key * 1_000_000 + number * 1000 + 1;
            events += &format!("{at}:beg_{number}:{key} {}:end_{number}:{key} ", at + 300 + key % 7);
        }
    }
    let page = page_of(&trace_of(&log_of(&events)), &stages, "run.trace");
    let figures = page.split("id=\"figures\"").nth(1).unwrap().split("</section>").next().unwrap();
    let missing = (0..200).find(|&number| !figures.contains(&format!(">{}</bdi>", name(number))));
    assert_eq!(missing, None);
    assert_eq!(page.matches("<dt>NO BOTTLENECK</dt>").count(), 2, "the first, and how many more");
    assert!(page.contains("the same in 6 more paths") && page.contains("shown in 7 parts"));
    assert!(page.contains("and 3 more, which the other verbs list"), "paths that are not drawn");
}

#[test]
fn the_usual_page_has_all_its_parts_and_an_empty_trace_has_a_page() {
    let stages = [stage("total", "beg_total", "end_total"), stage("work", "beg_work", "end_work")];
    let page = page_of(&trace_of(&pipeline_log()), &stages, "run.trace");
    for part in [
        "id=\"verdict\"",
        "id=\"figures\"",
        "id=\"plots\"",
        "id=\"loss\"",
        "id=\"recording\"",
        "7 events lost",
    ] {
        assert!(page.contains(part), "{part}");
    }
    let empty = page_of(&trace_of(""), &[], "empty");
    assert!(empty.contains("No stage was seen") && !empty.contains("id=\"plots\""));
    assert!(page_of(&trace_of(DOCUMENTED_LOG), &stages, "log").contains("39 events"));
}

#[test]
fn loads_nothing() {
    let page = page_of(&trace_of(&pipeline_log()), &[stage("work", "beg_work", "end_work")], "run.trace");
    assert!(page.contains("default-src 'none'; style-src 'sha256-"));
    for load in ["http:", "https:", "src=", "url(http", "@import", " style=", "onclick="] {
        assert!(!page.contains(load), "{load}");
    }
}

#[test]
fn a_long_wait_of_a_slow_buffer_has_its_reason() {
    // Buffer 20 is worked on for long in the second stage; those behind it wait there.
    let (mut events, mut free_at) = (String::new(), 0);
    for key in 0..60_u64 {
        let (begin, end) = (1000 * key + 1, 1000 * key + 101);
        let begin_b = (end + 10).max(free_at);
        let end_b = begin_b + if key == 20 { 5000 } else { 100 + key % 7 };
        free_at = end_b + 1;
        events +=
            &format!("{begin}:beg_a:{key} {end}:end_a:{key} {begin_b}:beg_b:{key} {end_b}:end_b:{key} ");
    }
    let mut fired: Vec<&str> = events.split_whitespace().collect();
    fired.sort_by_key(|event| event.split(':').next().and_then(|at| at.parse::<u64>().ok()));
    let stages = [stage("a", "beg_a", "end_a"), stage("b", "beg_b", "end_b")];
    let page = page_of(&trace_of(&log_of(&fired.join(" "))), &stages, "run.trace");
    assert!(page.contains("Waits of the slowest buffers that took longer than usual"));
    assert!(
        page.matches("behind 20, whose b took 5.000 us").count() > 2,
        "in a bar, as a reason, and in a table"
    );
    // Work has no such reason, however long.
    assert!(!page.contains("<title>b: 5.000 us;"));
}
