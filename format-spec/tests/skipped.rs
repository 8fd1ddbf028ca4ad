//! What was not recorded stands in the trace, by the rules of all definitions.

mod hostile;

use hostile::Hostile;
use tracer_format::{
    Copier, Damage, Definition, Error, Host, HostId, Site, Skipped, SkippedKind, Stream, Trace, Writer,
    WriterOptions,
};

fn skipped() -> Skipped {
    Skipped {
        host: HostId(0),
        kind: SkippedKind::Processes,
        count: 2,
        pid: 77,
        program: "app".into(),
        path: "/usr/bin/app".into(),
        provider: "p".into(),
        probe: "q".into(),
        offset: 0x1234,
        from_ns: 5,
        until_ns: 9,
        reason: "permission denied".into(),
    }
}

fn written(host: &str, all: &[Skipped]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), WriterOptions::default()).expect("a Vec takes all");
    let host = Host { name: host.into(), ..Host::default() };
    writer.define(Definition::Host(host.into())).expect("a Vec takes all");
    for skipped in all {
        writer.define(Definition::Skipped(skipped.clone())).expect("a Vec takes all");
    }
    writer.finish().expect("a Vec takes all")
}

#[test]
fn every_kind_is_read_as_it_was_written() {
    let kinds = [
        SkippedKind::Sites,
        SkippedKind::Files,
        SkippedKind::Processes,
        SkippedKind::Events,
        SkippedKind::Unknown(200),
    ];
    let all = kinds.map(|kind| Skipped { kind, ..skipped() });
    let bytes = written("h", &all);
    for trace in [Trace::open(&bytes), Trace::scan(&bytes)] {
        assert_eq!(trace.expect("a trace").definitions.skipped, all);
    }
    let mut stream = Stream::new();
    stream.push(&bytes);
    assert_eq!(stream.next(tracer_format::Rest::Ends).expect("a trace"), None);
    assert_eq!(stream.known().definitions.skipped, all);
}

#[test]
fn hosts_of_later_parts_are_their_own() {
    let both =
        [written("a", &[skipped()]), written("b", &[skipped(), Skipped { host: HostId(1), ..skipped() }])];
    let bytes = both.concat();
    for trace in [Trace::open(&bytes), Trace::scan(&bytes)] {
        let trace = trace.expect("a trace");
        let hosts: Vec<u32> = trace.definitions.skipped.iter().map(|skipped| skipped.host.0).collect();
        assert_eq!(hosts, [0, 1, 2]);
    }
    // A host that a part lacks does not come to mean the next part's.
    let bytes = [written("a", &[Skipped { host: HostId(1), ..skipped() }]), written("b", &[])].concat();
    for trace in [Trace::open(&bytes), Trace::scan(&bytes)] {
        assert_eq!(trace.expect("a trace").definitions.skipped[0].host, HostId::NONE);
    }
}

#[test]
fn copies_say_it_once_and_in_their_time() {
    let bytes = written("a", &[skipped(), Skipped { from_ns: 0, until_ns: 0, ..skipped() }]);
    let trace = Trace::open(&bytes).expect("a trace");
    let mut writer = Writer::new(Vec::new(), WriterOptions::default()).expect("a Vec takes all");
    let mut copier = Copier::default();
    for _ in 0..2 {
        let source = copier.source(&trace.definitions, 100, |_| true, &mut writer).expect("a Vec takes all");
        for skipped in &trace.definitions.skipped {
            copier.skipped(&source, skipped, &mut writer).expect("a Vec takes all");
        }
    }
    let times = |skipped: &Skipped| (skipped.from_ns, skipped.until_ns);
    let copied: Vec<_> = writer.definitions().skipped.iter().map(times).collect();
    assert_eq!(copied, [(105, 109), (0, 0)]);
}

#[test]
fn a_reason_is_needed() {
    let mut writer = Writer::new(Vec::new(), WriterOptions::default()).expect("a Vec takes all");
    let empty = Definition::Skipped(Skipped { reason: String::new(), ..skipped() });
    let refused = writer.define(empty).expect_err("no reason");
    assert!(matches!(refused, Error::Unnamed));
    assert_eq!(refused.to_string(), "a site's probe or a stage has no name, or what was skipped no reason");
    let file = Hostile::new().definition(8, 0, &[0; 12]);
    let trace = Trace::scan(&file.bytes).expect("a trace");
    let damage: Vec<Damage> = trace.damage.iter().map(|range| range.damage).collect();
    assert_eq!(damage, [Damage::Content("a name is empty")]);
}

#[test]
fn sites_are_found_by_what_is_known_of_them() {
    let site = Site {
        provider: "p".into(),
        probe: "q".into(),
        program: "app".into(),
        path: "/usr/bin/app".into(),
        offset: 0x1234,
        ..Site::default()
    };
    let exact = Skipped { kind: SkippedKind::Sites, ..skipped() };
    assert!(exact.covers(&site) && Skipped { reason: "why".into(), ..Skipped::default() }.covers(&site));
    let others = [
        Skipped { kind: SkippedKind::Files, ..exact.clone() },
        Skipped { path: "/usr/bin/other".into(), ..exact.clone() },
        Skipped { program: "other".into(), ..exact.clone() },
        Skipped { probe: "r".into(), ..exact.clone() },
        Skipped { offset: 1, ..exact.clone() },
    ];
    assert!(others.iter().all(|other| !other.covers(&site)));
}

/// What a file says was not recorded, opened by its index, by walking, and while it comes.
fn read(bytes: &[u8]) -> Vec<Skipped> {
    let opened = Trace::open(bytes).expect("a trace").definitions.clone();
    assert!(opened == Trace::scan(bytes).expect("a trace").definitions, "walking gives the same");
    let mut stream = Stream::new();
    stream.push(bytes);
    assert_eq!(stream.next(tracer_format::Rest::Ends).expect("a trace"), None);
    assert!(stream.known().definitions == opened, "what comes is the same");
    opened.skipped
}

/// Each took some hundred bytes of memory, and one of the file.
#[test]
fn of_very_many_the_first_are_listed_and_the_others_counted() {
    let (listed, more) = (1 << 14, 50_000);
    let of = |pid: u32| Skipped { kind: SkippedKind::Files, pid, count: u64::from(pid % 2) * 3, ..skipped() };
    let mut all: Vec<Skipped> = (0..listed + more).map(of).collect();
    all.push(Skipped { kind: SkippedKind::Events, count: u64::MAX, ..skipped() });
    all.push(Skipped { kind: SkippedKind::Events, ..skipped() });
    let bytes = written("a", &all);
    let found = read(&bytes);
    let listed = listed as usize;
    assert!(found[..listed] == all[..listed], "the first are as they were");
    // Of those without a number, each is one.
    let rest = |kind, count| Skipped::rest(kind, count, listed);
    let rests = [rest(SkippedKind::Files, u64::from(more) * 2), rest(SkippedKind::Events, u64::MAX)];
    assert_eq!(found[listed..], rests);
    assert!(found[listed..].iter().all(Skipped::is_rest) && !found[..listed].iter().any(Skipped::is_rest));
    // A part that follows is counted with it, and a copy says the same.
    let both = [bytes.clone(), written("b", &[Skipped { kind: SkippedKind::Files, count: 7, ..skipped() }])];
    let found_in_both = read(&both.concat());
    assert_eq!(
        found_in_both[listed..],
        [rest(SkippedKind::Files, u64::from(more) * 2 + 7), rests[1].clone()]
    );
    let copied = read(&written("a", &found));
    assert!(copied[..listed] == found[..listed], "the first are as they were");
    assert_eq!(copied[listed..], rests);
}

/// Texts of 16 MiB may be a few KB of the file.
#[test]
fn of_long_texts_as_many_are_listed_as_there_is_room_for() {
    let long =
        |pid: u32| Skipped { kind: SkippedKind::Files, pid, count: 1, reason: "x".repeat(4000), ..skipped() };
    let all: Vec<Skipped> = (0..3000).map(long).collect();
    let found = read(&written("a", &all));
    let listed = found.len() - 1;
    assert!((500..550).contains(&listed) && found[..listed] == all[..listed], "{listed}");
    assert_eq!(found[listed], Skipped::rest(SkippedKind::Files, 3000 - listed as u64, listed));
}
