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
    writer.define(Definition::Host(host)).expect("a Vec takes all");
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
