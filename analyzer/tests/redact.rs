//! Redacted traces: no text of the original is in the bytes of the new file, and all the rest is.

use std::io::Read;
use std::sync::Arc;

use tracer_analyzer::file::{Redacted, Redaction, redact};
use tracer_format::{
    ArgKind, Batch, BlockDecoder, ClockAnchor, Columns, Cost, Definition, Exit, Firing, Gap, Host, HostId,
    Process, ProcessId, Site, SiteId, Skipped, SkippedKind, StageDef, Thread, ThreadId, Trace, Writer,
    WriterOptions,
};

/// What stays nowhere: hosts, users, paths, command lines, strings.
const TELLING: [&str; 20] = [
    "hostmark.corp.test",
    "kernelmark",
    "bootmark",
    "toolmark",
    "recordermark",
    "--secretoption=recordmark",
    "foldermark",
    "usermark",
    "argumentmark",
    "--password=wordmark",
    "librarymark",
    "reasonmark",
    "skippedmark",
    "stringmark",
    "cutmark",
    "hiddenmark",
    "brokenmark",
    "usermark_tool",
    "end_on_hostmark",
    "symbolusermark",
];
/// What stays unless names are redacted.
const NAMES: [&str; 9] = [
    "programmark",
    "providermark",
    "beg_probemark",
    "end_probemark",
    "stagemark",
    "objectmark",
    "skippedprobemark",
    "variablemark",
    "toldmark",
];
/// Keys, as they stand in the file where it is not compressed.
const KEYS: [u64; 2] = [0x1122_3344_5566_7788, 0x99aa_bbcc_ddee_ff01];

fn host_and_processes() -> Vec<Definition> {
    let words = |text: &str| text.split(' ').map(Arc::from).collect();
    let host = Host {
        name: "hostmark.corp.test".into(),
        kernel: "Linux 6.1 kernelmark".into(),
        machine: "x86_64".into(),
        boot_id: "bootmark".into(),
        cpus: 4,
        tool: "toolmark 7".into(),
        command: words("recordermark record --secretoption=recordmark"),
    };
    let process = |pid, program: &str| {
        Definition::Process(
            Process {
                pid,
                parent_pid: 1,
                start_ns: 77,
                program: program.into(),
                executable: format!("/home/usermark/foldermark/{program}").into(),
                command: words("./x argumentmark --password=wordmark"),
                ..Process::default()
            }
            .into(),
        )
    };
    let thread = |process, tid| Definition::Thread(Thread { process: ProcessId(process), tid });
    let exit = Exit { process: ProcessId(1), time_ns: 9_000, status: 9 };
    vec![
        Definition::Host(host.into()),
        process(11, "programmark"),
        process(12, "usermark_tool"),
        thread(0, 11),
        thread(1, 13),
        Definition::Exit(exit),
        Definition::Cost(Cost { bpf_ns: 1, bpf_runs: 2, cpu_ns: 3, wakeups: 4, drained_bytes: 5 }),
    ]
}

fn sites_and_stages() -> Vec<Definition> {
    let site = |probe: &str, args: &[ArgKind]| {
        Definition::Site(
            Site {
                provider: "providermark".into(),
                probe: probe.into(),
                program: "objectmark".into(),
                path: "/opt/librarymark/objectmark".into(),
                build_id: (*b"\xbe\xef\xfe\xed\xfa\xce\xca\xfe").into(),
                offset: 64,
                semaphore_offset: 128,
                spec: if probe == "end_on_hostmark" {
                    "8@symbolusermark(%rip)"
                } else {
                    "8@variablemark(%rip)"
                }
                .into(),
                args: args.into(),
                announced: true,
                ..Site::default()
            }
            .into(),
        )
    };
    let stage = |name: &str, from: &str, to: &str, key: &str| {
        let (name, from, to, key) = (name.into(), from.into(), to.into(), key.into());
        Definition::Stage(StageDef { name, from, to, key })
    };
    let skipped = Skipped {
        kind: SkippedKind::Files,
        count: 3,
        pid: 5,
        program: "usermark_tool".into(),
        path: "/srv/skippedmark/objectmark".into(),
        provider: "providermark".into(),
        probe: "skippedprobemark".into(),
        offset: 6,
        from_ns: 7,
        until_ns: 8,
        reason: "cannot open /home/usermark/x: reasonmark".into(),
        ..Skipped::default()
    };
    vec![
        site("beg_probemark", &[ArgKind::Unsigned(8), ArgKind::Str, ArgKind::Float(4)]),
        site("end_probemark", &[ArgKind::Unsigned(8), ArgKind::Str, ArgKind::Signed(4)]),
        site("end_on_hostmark", &[ArgKind::Unsigned(4)]),
        stage("stagemark", "providermark:beg_probemark", "providermark:end_probemark|end_on_hostmark", "seq"),
        stage("toldmark", "providermark:end_probemark", "lasting arg2 us", "tid flat"),
        stage("brokenmark", "no probe", "nor here", "hiddenmark"),
        Definition::Skipped(skipped),
    ]
}

/// A trace with a text in every place where one can be.
fn telling_trace() -> Vec<u8> {
    let mut writer =
        Writer::new(Vec::new(), WriterOptions { trace_id: 0xabcd, ..WriterOptions::default() }).unwrap();
    for definition in host_and_processes().into_iter().chain(sites_and_stages()) {
        writer.define(definition).unwrap();
    }
    let anchor = ClockAnchor { monotonic_ns: 5, boottime_ns: 6, realtime_ns: 7, ..ClockAnchor::default() };
    writer.clock(anchor).unwrap();
    for (time_ns, key) in (1_u64..).zip(KEYS) {
        let string = writer.intern(b"stringmark");
        let float = u64::from(2.5_f32.to_bits());
        writer.push(&firing(1_000 * time_ns, 0, 0b000, &[key, string, float])).unwrap();
        let cut = writer.intern_cut(b"cutmark");
        writer.push(&firing(1_000 * time_ns + 300, 1, 0b000, &[key, cut, 40])).unwrap();
    }
    writer
        .gap(Gap { cpu: 1, site: SiteId(1), from_ns: 2_350, to_ns: 2_360, count: 9, host: HostId(0) })
        .unwrap();
    // What could not be read has any value; the same key is in a narrow argument.
    writer.push(&firing(3_000, 0, 0b110, &[KEYS[0], 7, u64::from_le_bytes(*b"hiddenma")])).unwrap();
    writer.push(&firing(3_100, 2, 0, &[7])).unwrap();
    writer.finish().unwrap()
}

fn firing(time_ns: u64, site: u32, unreadable: u16, values: &[u64]) -> Firing<'_> {
    Firing { time_ns, thread: ThreadId(site & 1), site: SiteId(site), cpu: 3, unreadable, values }
}

fn redacted(original: &[u8], names: bool, keys: bool) -> (Redacted, Vec<u8>) {
    let trace = Trace::open(original).unwrap();
    let how = Redaction { secret: b"a secret of sixteen", names, keys, tool: "tracer 1" };
    let mut writer = Writer::new(Vec::new(), WriterOptions::default()).unwrap();
    let redacted = redact(&trace, &how, &mut writer).unwrap();
    (redacted, writer.finish().unwrap())
}

/// The bytes of a file, and behind them what each of its zstd frames holds.
fn decompressed(file: &[u8]) -> Vec<u8> {
    const FRAME: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
    let mut bytes = file.to_vec();
    for at in (0..file.len()).filter(|&at| file[at..].starts_with(&FRAME)) {
        let decoder = zstd::Decoder::new(&file[at..]).map(|decoder| decoder.single_frame());
        // The four bytes may be those of something else.
        let _ = decoder.and_then(|mut decoder| decoder.read_to_end(&mut bytes));
    }
    bytes
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

/// Those of `texts` that are in the bytes of `file`.
fn found<'t>(file: &[u8], texts: &[&'t str]) -> Vec<&'t str> {
    let bytes = decompressed(file);
    texts.iter().copied().filter(|text| holds(&bytes, text.as_bytes())).collect()
}

#[test]
fn no_text_of_the_original_is_in_the_file() {
    let original = telling_trace();
    let all = [&TELLING[..], &NAMES[..]].concat();
    // Otherwise nothing would be looked for.
    assert_eq!(found(&original, &all), all);
    let (plain, file) = redacted(&original, false, false);
    assert_eq!(found(&file, &TELLING), [""; 0]);
    assert_eq!(found(&file, &NAMES), NAMES);
    assert_eq!(plain.telling, ["end_on_hostmark", "usermark_tool"]);
    let (named, file) = redacted(&original, true, false);
    assert_eq!(found(&file, &all), [""; 0]);
    assert_eq!(named.telling, [""; 0]);
    let build_id = [0xbe, 0xef, 0xfe, 0xed];
    assert!(holds(&decompressed(&original), &build_id) && !holds(&decompressed(&file), &build_id));
}

/// Each event of a file: time, thread, site, processor and arguments.
fn events(file: &[u8]) -> Vec<String> {
    let trace = Trace::open(file).unwrap();
    let mut batches = trace.batches();
    let mut events = Vec::new();
    while let Some(batch) = batches.next() {
        if let Batch::Events { columns, rows } = batch {
            for event in columns.events().skip(rows.start).take(rows.len()) {
                let args: Vec<_> = event.args(&trace.definitions).collect();
                let (thread, site) = (event.thread.0, event.site.0);
                events.push(format!("{} {thread} {site} {} {args:?}", event.time_ns, event.cpu));
            }
        }
    }
    events
}

#[test]
fn what_is_no_text_stays() {
    let original = telling_trace();
    let (Redacted { outcome, .. }, file) = redacted(&original, true, false);
    assert_eq!((outcome.events, outcome.lost, outcome.skipped.len()), (6, 9, 1));
    let (before, after) = (Trace::open(&original).unwrap(), Trace::open(&file).unwrap());
    assert_eq!((&before.gaps, &before.clocks), (&after.gaps, &after.clocks));
    let (old, new) = (&before.definitions, &after.definitions);
    assert_eq!((&old.threads, &old.exits, &old.cost), (&new.threads, &new.exits, &new.cost));
    let strings = ["stringmark", "cutmark"];
    let is_same = |(old, new): (&String, &String)| {
        old == new
            || strings.iter().any(|text| {
                let shown = format!("{:?}", text.as_bytes());
                old.contains(&shown) && !new.contains(&shown)
            })
    };
    let (old, new) = (events(&original), events(&file));
    assert_eq!(old.len(), 6);
    assert!(old.len() == new.len() && old.iter().zip(&new).all(is_same), "{old:#?}\n{new:#?}");
    assert_eq!(new.iter().filter(|event| event.contains("CutStr(")).count(), 2);
    assert_eq!(new[4].matches("Unreadable").count(), 2, "{new:?}");
    // The bits of what was unreadable are gone too.
    let (mut columns, block) = (Columns::default(), after.blocks.last().unwrap());
    after.decode(block, &mut BlockDecoder::default(), &mut columns).unwrap();
    assert_eq!((columns.row_unreadable(4), columns.row_values(4)), (0b110, &[KEYS[0], 0, 0][..]));
}

#[test]
fn keys_are_replaced_alike_and_durations_stay() {
    let original = telling_trace();
    let (_, file) = redacted(&original, false, true);
    let of_key = |event: &String| event.split('(').nth(1).unwrap().split(')').next().unwrap().to_owned();
    let new = events(&file);
    let keys: Vec<String> = new.iter().map(of_key).collect();
    assert!(keys[0] == keys[1] && keys[2] == keys[3] && keys[0] == keys[4] && keys[0] != keys[2], "{new:#?}");
    assert!(KEYS.iter().all(|key| keys.iter().all(|new| *new != key.to_string())), "{new:#?}");
    // A narrow argument holds a wide pseudonym; what tells how long a stage took is a number still.
    assert!(keys[5].parse::<u64>().unwrap() > u64::from(u32::MAX), "{new:#?}");
    assert!(new[1].contains("Signed(40)"), "{new:#?}");
}

#[test]
fn pseudonyms_depend_on_the_secret_alone() {
    let original = telling_trace();
    let (_, one) = redacted(&original, true, true);
    let (_, same) = redacted(&original, true, true);
    assert!(one == same);
    let trace = Trace::open(&original).unwrap();
    let how = Redaction { secret: b"another secret", names: true, keys: true, tool: "tracer 1" };
    let mut writer = Writer::new(Vec::new(), WriterOptions::default()).unwrap();
    redact(&trace, &how, &mut writer).unwrap();
    let other = writer.finish().unwrap();
    let [one, other] = [&one, &other].map(|file| Trace::open(file).unwrap().definitions.clone());
    assert_ne!(one.hosts[0].name, other.hosts[0].name);
    assert_ne!(one.sites[0].probe, other.sites[0].probe);
}

#[test]
fn stages_lead_to_the_probes_of_their_pseudonyms() {
    let (_, file) = redacted(&telling_trace(), true, false);
    let definitions = &Trace::open(&file).unwrap().definitions.clone();
    let [begin, end, other] = [0, 1, 2].map(|site: usize| &definitions.sites[site]);
    let stage = &definitions.stages[0];
    assert_eq!(stage.from, begin.name());
    assert_eq!(stage.to, format!("{}|{}", end.name(), other.probe));
    assert_eq!(stage.key, "seq");
    assert_eq!(definitions.stages[1].to, "lasting arg2 us");
    assert_eq!(begin.probe.strip_prefix("beg_"), end.probe.strip_prefix("end_"));
    // A file that was skipped is the one that its sites are in.
    assert_eq!(definitions.skipped[0].path.rsplit('/').next(), begin.path.rsplit('/').next());
}
