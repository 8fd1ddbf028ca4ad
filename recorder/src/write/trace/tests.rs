//! Rotation, bounds, printing and flight recording on plain batches, without a kernel.

use std::cell::Cell;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracer_format::{ArgKind, Batch as Read, Trace};

use super::*;
use crate::abi::KIND_SITE;
use crate::drain::batch::Part;
use crate::drain::loss::Loss;
use crate::kernel::raw::RawHead;
use crate::site::argument::{Argument, Location};
use crate::site::plan::Plan;
use crate::write::flight::Flight;
use crate::write::output::Bounds;
use tracer_format::SiteId;

/// No process has it: above the kernel's greatest pid.
const PID: u32 = 5_000_000;
const SECOND_NS: u64 = 1_000_000_000;
/// When recordings begin.
const BEGIN_NS: u64 = 100 * SECOND_NS;

thread_local! {
    static NOW_NS: Cell<u64> = const { Cell::new(BEGIN_NS) };
}

fn clocks() -> ClockAnchor {
    let monotonic_ns = NOW_NS.get();
    ClockAnchor { monotonic_ns, boottime_ns: monotonic_ns, ..ClockAnchor::default() }
}

/// What was written, file by file.
#[derive(Clone, Default)]
struct Files(Arc<Mutex<Vec<Vec<u8>>>>);

struct OneFile(Files, usize);

impl Write for OneFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.0.lock().expect("no panic")[self.1].write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Files {
    fn next(&self) -> Box<dyn Write + Send> {
        let mut files = self.0.lock().expect("no panic");
        files.push(Vec::new());
        Box::new(OneFile(self.clone(), files.len() - 1))
    }

    /// Time and sequence number of each event of each file. Every file is a whole trace.
    fn events(&self) -> Vec<Vec<(u64, u64)>> {
        let files = self.0.lock().expect("no panic");
        let events = |file: &Vec<u8>| {
            let trace = Trace::open(file).expect("a trace");
            assert!(trace.complete && trace.damage.is_empty());
            let (mut batches, mut events) = (trace.batches(), Vec::new());
            while let Some(batch) = batches.next() {
                let Read::Events { columns, rows } = batch else { continue };
                events.extend(rows.map(|row| (columns.time_ns[row], columns.row_values(row)[0])));
            }
            events
        };
        files.iter().map(events).collect()
    }
}

/// A recording that is fed by hand.
struct Feeding {
    trace: TraceWriter<'static>,
    control: Arc<Control>,
    progress: Arc<Progress>,
    files: Files,
}

impl Feeding {
    fn begin(bounds: Bounds) -> Self {
        Self::with(bounds, |_| {})
    }

    fn with(bounds: Bounds, change: impl FnOnce(&mut Output<'static>)) -> Self {
        NOW_NS.set(BEGIN_NS);
        let (files, control, progress) = (Files::default(), Arc::default(), Arc::default());
        let open = files.clone();
        let mut output = Output {
            open: Box::new(move |_| Ok(open.next())),
            print: None,
            accept: None,
            watch: None,
            stages: Vec::new(),
            flush: Duration::from_millis(200),
            spool_bytes: 0,
            bounds,
        };
        change(&mut output);
        let surroundings =
            Surroundings { host: Host::default(), threads: Threads::default(), read_clocks: clocks };
        let mut trace = TraceWriter::new(output, surroundings, Arc::clone(&control), Arc::clone(&progress))
            .expect("opened");
        let kind = ArgKind::Unsigned(8);
        let (plan, _) =
            Plan::new(&[Argument { kind, location: Location::Register { slot: 0, shift: 0 } }], &[]);
        let (provider, probe, program) = ("app".to_owned(), "hit".to_owned(), "test".to_owned());
        let site = Site {
            provider: provider.into(),
            probe: probe.into(),
            program: program.into(),
            args: vec![kind].into(),
            announced: true,
            ..Site::default()
        };
        trace.add_sites(vec![PlannedSite { plan, site }]).expect("defined");
        trace.begin().expect("written");
        Self { trace, control, progress, files }
    }

    /// Feeds one batch with the events (ns after the start, sequence number), at the time of its end.
    fn feed(&mut self, complete_ns: u64, events: impl IntoIterator<Item = (u64, u64)>) {
        self.feed_lossy(complete_ns, events, Vec::new());
    }

    fn feed_lossy(
        &mut self,
        complete_ns: u64,
        events: impl IntoIterator<Item = (u64, u64)>,
        losses: Vec<Loss>,
    ) {
        let mut part = Part::new(0);
        for (after_ns, seq) in events {
            let time_ns = BEGIN_NS + after_ns;
            let head =
                RawHead { time_ns, pid: PID, tid: PID, kind: KIND_SITE, count: 1, ..RawHead::default() };
            part.push(head, &[seq]);
        }
        let complete_ns = BEGIN_NS + complete_ns;
        NOW_NS.set(complete_ns);
        let mut batch = Batch { parts: vec![part], complete_ns, losses, ..Batch::default() };
        self.trace.write(&mut batch, complete_ns).expect("written");
    }

    /// A tenth of a second with 100 events, the number of which begins at `number` hundred.
    fn feed_tenth(&mut self, number: u64) {
        let begin_ns = number * SECOND_NS / 10;
        // Not a line, so that it takes some bytes.
        let event = |i: u64| (begin_ns + i * 900_000 + i * i * 7919 % 65_536, number * 100 + i);
        self.feed(begin_ns + SECOND_NS / 10, (0..100).map(event));
    }

    /// Ends it now.
    fn end(&mut self) -> Vec<Vec<(u64, u64)>> {
        self.trace.end(Cost::default(), &Lost::default()).expect("written");
        self.write_snapshots();
        self.files.events()
    }

    /// Writes the snapshots that were taken; none can be taken after that.
    fn write_snapshots(&self) {
        let snapshots = self.trace.snapshots();
        drop(snapshots.closing());
        snapshots.write(&self.progress).expect("written");
    }
}

fn numbers(files: &[Vec<(u64, u64)>]) -> Vec<Vec<u64>> {
    files.iter().map(|events| events.iter().map(|event| event.1).collect()).collect()
}

#[test]
fn rotation_by_size_splits_the_events_and_loses_none() {
    let mut recording = Feeding::begin(Bounds { rotate_bytes: Some(2000), ..Bounds::default() });
    (0..20).for_each(|number| recording.feed_tenth(number));
    let files = recording.end();
    assert!(files.len() > 2, "{} files", files.len());
    assert_eq!(numbers(&files).concat(), (0..2000).collect::<Vec<_>>());
    let sizes: Vec<_> = recording.files.0.lock().expect("no panic").iter().map(Vec::len).collect();
    assert!(sizes[..sizes.len() - 1].iter().all(|size| *size >= 2000), "{sizes:?}");
    assert_eq!(recording.progress.bytes(), sizes.iter().sum::<usize>() as u64);
}

#[test]
fn rotation_by_time_begins_a_file_every_half_second() {
    let after = Some(Duration::from_millis(500));
    let mut recording = Feeding::begin(Bounds { rotate_after: after, ..Bounds::default() });
    (0..12).for_each(|number| recording.feed_tenth(number));
    let files = recording.end();
    assert_eq!(
        numbers(&files),
        [(0..500).collect::<Vec<_>>(), (500..1000).collect(), (1000..1200).collect()]
    );
}

#[test]
fn a_bound_of_events_is_kept_exactly_and_asks_for_the_end() {
    let mut recording = Feeding::begin(Bounds { max_events: Some(150), ..Bounds::default() });
    recording.feed_tenth(0);
    assert_eq!(recording.progress.ending(), None);
    recording.feed_tenth(1);
    assert_eq!(recording.progress.ending(), Some(Ending::Enough));
    recording.feed_tenth(2);
    assert_eq!(numbers(&recording.end()), [(0..150).collect::<Vec<_>>()]);
    assert_eq!(recording.progress.events(), 150);
}

#[test]
fn a_bound_of_bytes_asks_for_the_end_before_it_is_passed() {
    let mut recording = Feeding::begin(Bounds { max_bytes: Some(20_000), ..Bounds::default() });
    let asked = (0..1000).find(|number| {
        recording.feed_tenth(*number);
        recording.progress.ending().is_some()
    });
    assert!(asked.is_some_and(|number| number > 5), "{asked:?}");
    recording.end();
    let size = recording.files.0.lock().expect("no panic")[0].len();
    assert!((10_000..20_000).contains(&size), "{size}");
}

#[test]
fn what_comes_before_the_begin_or_after_the_end_is_no_part() {
    let mut recording = Feeding::begin(Bounds::default());
    recording.control.end(BEGIN_NS + 50);
    let late = Part::new(0);
    let mut batch = Batch { parts: vec![late], ..Batch::default() };
    let head = |time_ns| RawHead { time_ns, pid: PID, count: 1, ..RawHead::default() };
    [BEGIN_NS - 1, BEGIN_NS, BEGIN_NS + 50, BEGIN_NS + 51]
        .iter()
        .for_each(|time_ns| batch.parts[0].push(head(*time_ns), &[7]));
    let loss = |first_ns, last_ns| Loss { cpu: 0, site: SiteId(0), first_ns, last_ns, count: 1 };
    batch.losses = vec![
        loss(BEGIN_NS - 9, BEGIN_NS - 1),
        loss(BEGIN_NS - 9, BEGIN_NS),
        loss(BEGIN_NS + 50, BEGIN_NS + 60),
        loss(BEGIN_NS + 51, BEGIN_NS + 60),
    ];
    recording.trace.write(&mut batch, BEGIN_NS + 60).expect("written");
    let times: Vec<u64> = recording.end().concat().iter().map(|event| event.0).collect();
    assert_eq!(times, [BEGIN_NS, BEGIN_NS + 50]);
    assert_eq!((recording.progress.events(), recording.progress.lost()), (2, 2));
    let site = &recording.trace.sites()[0];
    assert_eq!((site.recorded, site.lost), (2, 2));
}

#[test]
fn the_log_is_printed_in_order_with_gaps_at_their_places() {
    let log = Files::default();
    let print = log.next();
    let mut recording = Feeding::with(Bounds::default(), |output| output.print = Some(print));
    let loss = Loss { cpu: 0, site: SiteId(0), first_ns: BEGIN_NS + 15, last_ns: BEGIN_NS + 18, count: 3 };
    recording.feed_lossy(25, [(20, 2), (10, 1), (30, 3)], vec![loss]);
    recording.feed(SECOND_NS, []);
    recording.end();
    let text = String::from_utf8(log.0.lock().expect("no panic")[0].clone()).expect("UTF-8");
    let expected = "\
[   0] Found probe hit                                 in 'test'

Trace started. Ctrl-C to stop.

[    100000000010] [PID:5000000] test         app:hit                        | Seq: 1
[    100000000018] Lost 3 events of app:hit on CPU 0 since 100000000015
[    100000000020] [PID:5000000] test         app:hit                        | Seq: 2
[    100000000030] [PID:5000000] test         app:hit                        | Seq: 3
";
    assert_eq!(text, expected);
}

/// What is not recorded stands in every file from when it is known on, and a flight recorder's snapshot.
#[test]
fn what_is_not_recorded_stands_in_every_file() {
    let skipped = |reason: &str| Skipped { reason: reason.to_owned(), ..Skipped::default() };
    let after = Some(Duration::from_millis(500));
    let flight = Flight { last: Duration::from_secs(1), max_bytes: 1 << 20 };
    let all = [
        (Bounds { rotate_after: after, ..Bounds::default() }, vec![vec!["first"], vec!["first", "second"]]),
        (Bounds { flight: Some(flight), ..Bounds::default() }, vec![vec!["first", "second"]]),
    ];
    for (bounds, expected) in all {
        let mut recording = Feeding::begin(bounds);
        recording.trace.skip(skipped("first")).expect("written");
        recording.feed_tenth(0);
        recording.feed_tenth(6);
        recording.trace.skip(skipped("second")).expect("written");
        recording.trace.skip(skipped("first")).expect("written");
        recording.feed_tenth(7);
        recording.trace.end(Cost::default(), &Lost { processes: 3, ..Lost::default() }).expect("written");
        recording.write_snapshots();
        let files = recording.files.0.lock().expect("no panic");
        let mut reasons: Vec<Vec<String>> = files
            .iter()
            .map(|file| Trace::open(file).expect("a trace").into_known().definitions.skipped)
            .map(|all| all.into_iter().map(|it| it.reason).collect())
            .collect();
        let last = reasons.last_mut().and_then(Vec::pop).expect("the lost processes");
        assert!(last.starts_with("their begin or end was lost"), "{last}");
        assert_eq!(reasons, expected);
    }
}

#[test]
fn what_is_not_listed_is_counted() {
    let mut recording = Feeding::begin(Bounds::default());
    for number in 0..MAX_SKIPPED as u64 + 7 {
        let kind = if number.is_multiple_of(2) { SkippedKind::Files } else { SkippedKind::Sites };
        let skipped = Skipped { kind, count: 1, reason: number.to_string(), ..Skipped::default() };
        recording.trace.skip(skipped).expect("written");
    }
    recording.end();
    let files = recording.files.0.lock().expect("no panic");
    let skipped = Trace::open(&files[0]).expect("a trace").into_known().definitions.skipped;
    let rest: Vec<_> = skipped[MAX_SKIPPED..].iter().map(|rest| (rest.kind, rest.count)).collect();
    assert_eq!(rest, [(SkippedKind::Sites, 3), (SkippedKind::Files, 4)]);
}

/// Takes nothing.
struct Closed(io::ErrorKind);

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_log_that_cannot_be_printed_asks_for_the_end_and_costs_no_event() {
    for (kind, ending) in
        [(io::ErrorKind::StorageFull, Some(Ending::Enough)), (io::ErrorKind::BrokenPipe, None)]
    {
        let mut recording =
            Feeding::with(Bounds::default(), |output| output.print = Some(Box::new(Closed(kind))));
        recording.feed_tenth(0);
        recording.feed_tenth(1);
        assert_eq!(recording.progress.ending(), ending, "{kind}");
        assert_eq!(numbers(&recording.end()), [(0..200).collect::<Vec<_>>()]);
        assert_eq!(recording.trace.print_failure().is_some(), ending.is_some());
    }
}

/// Keeps two seconds.
fn flight() -> Bounds {
    let flight = Flight { last: Duration::from_secs(2), max_bytes: 1 << 20 };
    Bounds { flight: Some(flight), ..Bounds::default() }
}

#[test]
fn a_flight_recorder_writes_the_last_seconds_when_asked_and_at_the_end() {
    let mut recording = Feeding::begin(flight());
    (0..50).for_each(|number| recording.feed_tenth(number));
    assert_eq!(recording.files.events().len(), 0, "all of it is in memory");
    recording.control.ask_snapshot();
    (50..60).for_each(|number| recording.feed_tenth(number));
    recording.control.end(BEGIN_NS + 6 * SECOND_NS);
    let files = recording.end();
    // A segment is an eighth of a second, so a snapshot may look back a segment more.
    let expected = [(4_900, 5_100), (5_900, 6_000)];
    for (events, (least, most)) in files.iter().zip(expected) {
        let (first, last) = (events[0].1, events[events.len() - 1].1);
        assert!((least..most).contains(&last) && last - first < 2_130, "{first} to {last}");
        assert!(last - first > 1_800, "{first} to {last}");
        assert_eq!(events.len() as u64, last - first + 1, "none is missing between");
    }
    assert_eq!(files.len(), 2);
}

/// The thread that writes them does not get on: nothing waits for it, and each is of its own time.
#[test]
fn several_snapshots_are_on_their_way_and_cost_no_event() {
    let mut recording = Feeding::begin(flight());
    for number in 0..100 {
        if number % 10 == 0 {
            recording.control.ask_snapshot();
        }
        recording.feed_tenth(number);
    }
    assert!(recording.files.0.lock().expect("no panic").iter().all(Vec::is_empty), "nothing is written yet");
    let lasts: Vec<u64> = recording.end().iter().map(|events| events[events.len() - 1].1 / 100).collect();
    // The fifth waits until there is room, and is asked for again and again; at the end there is always one.
    assert_eq!(lasts, [0, 10, 20, 30, 99]);
}

#[test]
fn what_a_flight_recorder_watches_for_asks_for_the_end_after_it() {
    let mut recording = Feeding::with(flight(), |output| {
        output.watch = Some(Box::new(|_, columns| columns.values.contains(&777)));
    });
    (0..7).for_each(|number| recording.feed_tenth(number));
    assert_eq!(recording.progress.ending(), None);
    recording.feed_tenth(7);
    recording.feed_tenth(8);
    assert_eq!(recording.progress.ending(), Some(Ending::Aftermath));
    assert!(recording.end().concat().iter().any(|event| event.1 == 777));
}

#[test]
fn a_file_that_cannot_be_opened_or_written_is_an_error() {
    let mut recording = Feeding::with(
        Bounds { rotate_after: Some(Duration::from_millis(100)), ..Bounds::default() },
        |output| {
            output.open = Box::new(|part| match part {
                0 => Ok(Box::new(io::sink())),
                _ => Err(io::ErrorKind::StorageFull.into()),
            });
        },
    );
    let mut batch = Batch { complete_ns: BEGIN_NS + SECOND_NS, ..Batch::default() };
    let error = recording.trace.write(&mut batch, BEGIN_NS + SECOND_NS).expect_err("no second file");
    assert!(error.to_string().contains("no storage space"), "{error}");
}
