//! Plots for the terminal: they fit whatever the width, in letters that the terminal has.

mod made;

use made::{log_of, pipeline_log, trace_of};
use tracer_analyzer::Selection;
use tracer_analyzer::analysis::analyze;
use tracer_analyzer::analysis::diagnosis::{Watch, diagnose};
use tracer_analyzer::screen::plot::{Letters, MIN_WIDTH, OverTime, text};
use tracer_analyzer::stage::{Key, ProbeName, Stage};
use tracer_format::Trace;

fn stage(name: &str) -> Stage {
    let probe = |side: &str| ProbeName { provider: "p".to_owned(), probe: format!("{side}_{name}") };
    Stage::new(name.to_owned(), probe("beg"), probe("end"), Key::seq())
}

fn plots(log: &str, stages: &[Stage], width: usize, letters: Letters) -> String {
    let bytes = trace_of(log);
    let trace = Trace::open(&bytes).unwrap();
    let selection = Selection::all();
    let time_ns = selection.time_range(&trace);
    let watch = Watch::new(stages, &trace.definitions, time_ns);
    let mut sinks = (OverTime::new(stages.len(), time_ns), watch);
    let mut analysis = analyze(&trace, &selection, stages, &mut sinks).unwrap();
    let (over_time, watch) = sinks;
    analysis.diagnosis = Some(diagnose(watch, &analysis, 5));
    let trends = over_time.finish(&analysis);
    text(&analysis, &trends, width, letters)
}

#[test]
fn plots_fit_any_width_from_the_least_on() {
    let long = "x".repeat(300);
    let stages = [stage("total"), stage("work"), Stage { name: long, ..stage("send") }];
    for letters in [Letters::Unicode, Letters::Ascii] {
        for width in [MIN_WIDTH, 71, 72, 80, 200] {
            let plots = plots(&pipeline_log(), &stages, width, letters);
            let widest = plots.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(width), "{widest:?} letters of {width}:\n{plots}");
            assert!(
                plots.contains("work, stage 4")
                    && plots.contains("^p50")
                    && plots.contains(&format!("xxx{}xxx", letters.dots()))
            );
            assert_eq!(plots.is_ascii(), letters == Letters::Ascii);
        }
    }
    assert_eq!(
        plots(&pipeline_log(), &stages, 1, Letters::Ascii),
        plots(&pipeline_log(), &stages, MIN_WIDTH, Letters::Ascii)
    );
}

#[test]
fn every_value_is_in_a_column_and_every_begin_in_a_slice() {
    // One of a hundred takes a hundred times as long, in the last quarter of the time.
    let took = |key: u64| if key == 90 { 4000 } else { 40 };
    let events = (0..100_u64).map(|key| {
        format!("{0}:beg_work:{key} {1}:end_work:{key} ", 6400 * key + 1, 6400 * key + 1 + took(key))
    });
    let plots = plots(&log_of(&events.collect::<String>()), &[stage("work")], MIN_WIDTH, Letters::Ascii);
    let lines: Vec<&str> = plots.lines().map(|line| line.get(8..).unwrap_or_default()).collect();
    let part = plots.split("work, stage 100").nth(1).expect("the stage is plotted");
    let rows: Vec<&str> = part.lines().skip(1).collect();
    // The lowest row of the histogram: the first column to the top, something in the last, nothing between.
    assert_eq!(rows[3].get(8..), Some(&*format!("#{}.", " ".repeat(30))), "{plots}");
    let p99 = rows.iter().find(|row| row.starts_with("p99")).expect("a row of shades");
    assert_eq!(p99.find('#').map(|at| at - 8), Some(29), "the slow one is where it was: {plots}");
    assert!(lines.iter().any(|line| line.contains("40 ns to 4.000 us")), "{plots}");
}
