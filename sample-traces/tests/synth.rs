//! Synthetic traces read back: what the generator says of a trace is what an independent count of its events finds.

use sample_traces::synth::{self, Options, Plan, Truth};
use std::collections::{HashMap, HashSet};
use std::process::{Command, Output, Stdio};
use tracer_format::{BlockDecoder, Columns, SiteId, ThreadId, Trace};

/// One event: time, site, thread, processor, sequence number.
type Row = (u64, SiteId, ThreadId, u16, u64);

const STAGES: [(&str, u32, u32); 3] = [("global", 0, 5), ("awe", 1, 2), ("writing", 3, 4)];

fn plan(arguments: &[&str]) -> Plan {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }
    let words = ["synth"].iter().chain(arguments);
    Plan::from(&<Line as clap::Parser>::try_parse_from(words).expect("valid").options)
}

fn written(plan: &Plan) -> (Vec<u8>, Truth) {
    synth::write(plan, Vec::new()).expect("memory takes everything")
}

fn rows(bytes: &[u8]) -> Vec<Row> {
    let trace = Trace::open(bytes).expect("just written");
    assert!(trace.damage.is_empty());
    let (mut decoder, mut columns, mut rows) = (BlockDecoder::default(), Columns::default(), Vec::new());
    for block in &trace.blocks {
        trace.decode(block, &mut decoder, &mut columns).expect("just written");
        let row = |row| {
            let event = columns.event(row);
            let seq = columns.key(row, &trace.definitions).expect("every event has a sequence number");
            (event.time_ns, event.site, event.thread, event.cpu, seq.cast_unsigned())
        };
        rows.extend((0..columns.len()).map(row));
    }
    rows
}

/// What the rows say of a stage: latencies sorted, open, orphan and reordered spans.
fn spans(rows: &[Row], from: SiteId, to: SiteId) -> (Vec<u64>, u64, u64, u64) {
    let (mut begun, mut latencies, mut orphan) = (HashMap::new(), Vec::new(), 0);
    let (mut latest_ns, mut reordered) = (0, 0);
    for &(time_ns, site, _, _, seq) in rows {
        if site == from {
            assert_eq!(begun.insert(seq, time_ns), None, "buffer {seq} begins once");
        } else if site == to {
            let Some(begin_ns) = begun.remove(&seq) else {
                orphan += 1;
                continue;
            };
            reordered += u64::from(begin_ns < latest_ns);
            latest_ns = latest_ns.max(begin_ns);
            latencies.push(time_ns - begin_ns);
        }
    }
    latencies.sort_unstable();
    (latencies, begun.len() as u64, orphan, reordered)
}

#[test]
fn the_truth_is_what_a_count_of_the_events_finds() {
    let plans: [&[&str]; 6] = [
        &["--events=100000"],
        &["--events=100001", "--shape=workers", "--seed=7", "--cpus=2"],
        &["--events=50000", "--shape=strings", "--block-events=1000", "--first-seq=4000000000"],
        &["--events=100000", "--loss=0.05", "--workers=1"],
        &["--events=100000", "--loss=0.8", "--rate=100", "--jitter=0"],
        &["--events=70000", "--shape=loop", "--workers=3", "--loss=0.01"],
    ];
    for arguments in plans {
        let plan = plan(arguments);
        let (bytes, truth) = written(&plan);
        let rows = rows(&bytes);
        let trace = Trace::open(&bytes).expect("just written");

        assert_eq!(truth.probes.iter().map(|probe| probe.fired).sum::<u64>(), plan.events, "{arguments:?}");
        assert_eq!(truth.probes.len(), trace.definitions.sites.len());
        for (site, probe) in (0..).zip(&truth.probes) {
            let recorded = rows.iter().filter(|row| row.1 == SiteId(site)).count() as u64;
            let gaps: u64 =
                trace.gaps.iter().filter(|gap| gap.site == SiteId(site)).map(|gap| gap.count).sum();
            let expected = (probe.fired - probe.lost, probe.lost);
            assert_eq!((recorded, gaps), expected, "{arguments:?} {}", probe.name);
            assert_eq!(trace.definitions.sites[site as usize].name(), probe.name);
        }
        assert_eq!(trace.gaps.len() as u64, truth.gaps);
        assert_eq!(truth.time_ns, rows.first().zip(rows.last()).map(|(first, last)| (first.0, last.0)));
        assert_eq!(rows.last().map(|row| row.4), Some(truth.last_seq));
        let lost = plan.events - rows.len() as u64;
        let part = lost as f64 / plan.events as f64;
        assert!((part - plan.loss).abs() <= plan.loss * 0.4, "{arguments:?}: {part}");

        for stage in &truth.stages {
            let (_, from, to) = STAGES.into_iter().find(|known| known.0 == stage.name).expect("known");
            let (latencies, open, orphan, reordered) = spans(&rows, SiteId(from), SiteId(to));
            let found = (latencies.len() as u64, open, orphan, reordered);
            let expected = (stage.latencies.count, stage.open, stage.orphan, stage.reordered);
            assert_eq!(found, expected, "{arguments:?} {}", stage.name);
            let ends = latencies.first().zip(latencies.last());
            assert_eq!(ends, Some((&stage.latencies.min_ns, &stage.latencies.max_ns)));
            assert_eq!(latencies.iter().map(|&ns| u128::from(ns)).sum::<u128>(), stage.latencies.sum_ns);
            for permille in [500, 900, 990, 999] {
                let exact = latencies[(latencies.len() * permille).div_ceil(1000) - 1];
                let told = stage.latencies.percentile_ns(permille as u64);
                assert!(told.abs_diff(exact) <= exact / 4096, "{permille}: {told} instead of {exact}");
            }
        }
        assert_eq!(truth.stages.len(), if arguments.contains(&"--shape=loop") { 0 } else { 3 });
    }
}

#[test]
fn buffers_pass_the_probes_in_order_and_threads_do_one_thing_at_a_time() {
    for arguments in [["--events=60000", "--workers=4"], ["--events=60000", "--shape=workers"]] {
        let rows = rows(&written(&plan(&arguments)).0);
        assert!(rows.windows(2).all(|pair| pair[0].0 < pair[1].0), "time goes on");
        let (mut passed, mut busy, mut writing) = (HashMap::new(), HashMap::new(), None);
        for &(_, site, thread, _, seq) in &rows {
            let next = passed.entry(seq).or_insert(0);
            assert_eq!(SiteId(*next), site, "buffer {seq} passes the sites in their order");
            *next += 1;
            match site {
                SiteId(1) => assert_eq!(busy.insert(thread, seq), None, "a worker has one buffer"),
                SiteId(2) | SiteId(3) => {
                    assert_eq!(busy.get(&thread), Some(&seq), "a worker goes on with its buffer")
                }
                SiteId(4) => assert_eq!(busy.remove(&thread), Some(seq), "a worker hands its buffer over"),
                _ => {}
            }
            match site {
                SiteId(3) => assert_eq!(writing.replace(seq), None, "one worker writes at a time"),
                SiteId(4) => assert_eq!(writing.take(), Some(seq), "the worker that writes ends"),
                _ => {}
            }
        }
        let workers: HashSet<ThreadId> =
            rows.iter().filter(|row| row.1 == SiteId(1)).map(|row| row.2).collect();
        assert_eq!(workers.len(), plan(&arguments).workers.into(), "every worker works");
        let cpus: HashSet<u16> = rows.iter().map(|row| row.3).collect();
        assert_eq!(cpus.len(), 8, "every processor is used");
    }
}

#[test]
fn what_is_lost_is_in_the_gaps_and_nothing_else_is() {
    let all = rows(&written(&plan(&["--events=200000"])).0);
    let (bytes, truth) = written(&plan(&["--events=200000", "--loss=0.02"]));
    let kept: HashSet<Row> = rows(&bytes).into_iter().collect();
    let trace = Trace::open(&bytes).expect("just written");
    let lost: Vec<Row> = all.iter().filter(|row| !kept.contains(row)).copied().collect();
    assert_eq!(lost.len() + kept.len(), all.len(), "loss changes no event");
    assert_eq!(lost.len() as u64, truth.probes.iter().map(|probe| probe.lost).sum::<u64>());
    for gap in &trace.gaps {
        let inside =
            |row: &&Row| row.1 == gap.site && row.3 == gap.cpu && (gap.from_ns..=gap.to_ns).contains(&row.0);
        assert_eq!(lost.iter().filter(inside).count() as u64, gap.count, "{gap:?}");
        assert_eq!(kept.iter().filter(inside).count(), 0, "{gap:?}");
    }
}

#[test]
fn a_seed_repeats_the_trace_byte_for_byte_and_another_does_not() {
    for shape in ["--shape=pipeline", "--shape=loop", "--shape=workers", "--shape=strings"] {
        let trace = |seed| written(&plan(&["--events=20000", "--loss=0.1", shape, seed])).0;
        let first = trace("--seed=5");
        assert!(first == trace("--seed=5"), "{shape}");
        assert!(rows(&first) != rows(&trace("--seed=6")), "{shape}");
    }
}

#[test]
fn shapes_have_the_processes_threads_and_arguments_they_say() {
    let cases = [("pipeline", 3, 6, 1), ("workers", 6, 6, 1), ("strings", 3, 6, 2), ("loop", 1, 4, 1)];
    for (shape, processes, threads, arguments) in cases {
        let shape = format!("--shape={shape}");
        let (bytes, _) = written(&plan(&["--events=5000", "--workers=4", &shape]));
        let trace = Trace::open(&bytes).expect("just written");
        let definitions = &trace.definitions;
        assert_eq!((definitions.processes.len(), definitions.threads.len()), (processes, threads), "{shape}");
        assert!(definitions.sites.iter().all(|site| site.args.len() == arguments), "{shape}");
        let tids: HashSet<u32> = definitions.threads.iter().map(|thread| thread.tid).collect();
        assert_eq!(tids.len(), threads, "{shape}: thread ids are unique");
        assert!(!trace.clocks.is_empty(), "{shape}");
    }
}

#[test]
fn a_buffer_carries_one_topic_past_every_probe() {
    let (bytes, _) = written(&plan(&["--events=6000", "--shape=strings"]));
    let trace = Trace::open(&bytes).expect("just written");
    let (mut decoder, mut columns, mut topics) =
        (BlockDecoder::default(), Columns::default(), HashMap::new());
    for block in &trace.blocks {
        trace.decode(block, &mut decoder, &mut columns).expect("just written");
        for row in 0..columns.len() {
            let values = columns.row_values(row);
            let topic = columns.string(values[1]).expect("a topic").to_vec();
            assert!(topic.starts_with(b"/"));
            assert_eq!(*topics.entry(values[0]).or_insert(topic.clone()), topic);
        }
    }
    assert!(topics.values().collect::<HashSet<_>>().len() > 40);
}

fn synth(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_synth")).args(arguments).output().expect("starts")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_program_writes_to_a_file_or_a_pipe_and_prints_the_truth() {
    let path = std::env::temp_dir().join(format!("synth-{}.trace", std::process::id()));
    let arguments = ["--events=30000", "--loss=0.01", "--seed=3"];
    let piped = synth(&[&arguments[..], &["-o", "-"]].concat());
    let filed = synth(&[&arguments[..], &["-o", path.to_str().expect("UTF-8")]].concat());
    let bytes = std::fs::read(&path);
    std::fs::remove_file(&path).expect("was written");
    let (expected, truth) = written(&plan(&arguments));
    assert!(piped.status.success() && filed.status.success());
    assert!(piped.stdout == expected && bytes.expect("readable") == expected);
    for output in [&piped, &filed] {
        let text = text(output);
        assert!(text.starts_with(&truth.to_string()), "{text}");
        assert!(text.contains(&format!("\nbytes trace {}\n", expected.len())), "{text}");
    }
    let lines = truth.to_string();
    let awe = truth.stages.iter().find(|stage| stage.name == "awe").expect("a stage");
    assert!(lines.contains(&format!("\nspans awe {}\n", awe.latencies.count)), "{lines}");
    assert!(lines.contains(&format!("\nlost buffer_tracker:beg_awe {}\n", truth.probes[1].lost)), "{lines}");
}

#[test]
fn a_reader_that_goes_away_is_an_ordinary_end_and_a_bad_path_is_not() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_synth"))
        .args(["-o", "-", "--events=3000000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("ends");
    assert!(output.status.success(), "{}", text(&output));

    let output = synth(&["-o", "/no/such/folder/x.trace"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).starts_with("synth: /no/such/folder/x.trace: No such file"), "{}", text(&output));
}

#[test]
fn numbers_out_of_range_are_refused() {
    let wrong = ["--rate=0", "--rate=inf", "--jitter=-1", "--loss=1", "--workers=0", "--cpus=0", "--shape=x"];
    for argument in wrong.iter().chain(&["--block-events=65537", "--events=10000000001", "--first-seq=-1"]) {
        assert_eq!(synth(&["-o", "-", argument]).status.code(), Some(2), "{argument}");
    }
}
