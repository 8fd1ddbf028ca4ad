//! Small, sound traces and logs that have very many of one thing: what a reader does with each pair of them, or keeps for each
//! of them, shows.
#![allow(dead_code, unreachable_pub, reason = "a module of a test")]

#[path = "more.rs"]
mod more;
#[path = "stages.rs"]
mod stages;

use tracer_format::{
    ArgKind, ClockAnchor, Definition, Exit, Firing, Gap, Host, HostId, Process, ProcessId, Site, SiteId,
    Skipped, SkippedKind, StageDef, Thread, ThreadId, Writer, WriterOptions,
};

/// A way to make a trace of so many of something.
pub struct Many {
    /// What there are many of.
    pub what: &'static str,
    /// So many make nearly 1 MB, or as much as there may be.
    pub count: u32,
    make: fn(&mut Making, u32),
}

impl Many {
    /// A trace with `count` of it.
    pub fn trace(&self, count: u32) -> Vec<u8> {
        let mut making = Making::new();
        (self.make)(&mut making, count);
        making.writer.finish().expect("written")
    }
}

/// A trace in the making; its events are 1 us apart.
struct Making {
    writer: Writer<Vec<u8>>,
    now_ns: u64,
}

impl Making {
    fn new() -> Self {
        let options = WriterOptions { trace_id: 7, ..WriterOptions::default() };
        let mut writer = Writer::new(Vec::new(), options).expect("written");
        writer.host(Host::default()).expect("written");
        Self { writer, now_ns: 1000 }
    }

    fn process(&mut self, pid: u32, program: &str, start_ns: u64) -> ThreadId {
        let process = Process { pid, start_ns, program: program.into(), ..Process::default() };
        let process = self.writer.process(process).expect("written");
        self.thread(process, pid)
    }

    fn thread(&mut self, process: ProcessId, tid: u32) -> ThreadId {
        self.writer.thread(Thread { process, tid }).expect("written")
    }

    /// A site with one argument of this kind, a number unless it is a text.
    fn site(&mut self, probe: &str, kind: ArgKind) -> SiteId {
        let (provider, program, args) = ("a".to_owned(), "p".to_owned(), vec![kind]);
        let site = Site {
            provider: provider.into(),
            program: program.into(),
            probe: probe.into(),
            args: args.into(),
            ..Site::default()
        };
        self.writer.site(Site { announced: true, ..site }).expect("written")
    }

    fn number_site(&mut self, probe: &str) -> SiteId {
        self.site(probe, ArgKind::Unsigned(8))
    }

    fn stage(&mut self, name: &str, from: &str, to: &str, key: &str) {
        let [name, from, to, key] = [name, from, to, key].map(str::to_owned);
        self.writer.define(Definition::Stage(StageDef { name, from, to, key })).expect("written");
    }

    fn fire(&mut self, thread: ThreadId, site: SiteId, value: u64) {
        self.now_ns += 1000;
        let (time_ns, values) = (self.now_ns, &[value][..]);
        self.writer.push(&Firing { time_ns, thread, site, cpu: 0, unreadable: 0, values }).expect("written");
    }

    /// One thread, the begin and the end of a stage.
    fn pair(&mut self) -> (ThreadId, SiteId, SiteId) {
        let thread = self.process(1, "p", 0);
        (thread, self.number_site("beg_s"), self.number_site("end_s"))
    }

    /// A few spans, so that there is something to report.
    fn few_spans(&mut self) {
        let (thread, begin, end) = self.pair();
        self.spans(thread, begin, end, 100);
    }

    fn spans(&mut self, thread: ThreadId, begin: SiteId, end: SiteId, count: u64) {
        for key in 0..count {
            self.fire(thread, begin, key);
            self.fire(thread, end, key);
        }
    }

    /// Spans that begin and end at `time_ns`, so many events.
    fn at_time(&mut self, time_ns: u64, count: u32) {
        let (thread, begin, end) = self.pair();
        for event in 0..count {
            let site = [begin, end][event as usize % 2];
            let values = &[u64::from(event / 2)][..];
            self.writer
                .push(&Firing { time_ns, thread, site, cpu: 0, unreadable: 0, values })
                .expect("written");
        }
    }

    /// A block of its own for what was fired.
    fn seal(&mut self) {
        self.writer.flush().expect("written");
    }
}

/// Everything that there can be many of.
pub const TRACES: &[Many] = &[
    Many { what: "stages, each from the end of the one before", count: 2048, make: stages::chained_stages },
    Many { what: "stages that begin at one probe", count: 64, make: stages::stages_of_one_probe },
    Many { what: "stages, too many", count: 32_000, make: stages::stages_of_one_probe },
    Many { what: "stages with a key of their own each", count: 2048, make: stages::stages_of_many_keys },
    Many { what: "alternative ends of a stage", count: 20_000, make: stages::alternatives },
    Many { what: "stages that names tell", count: 8000, make: stages::learned_stages },
    Many { what: "probes", count: 20_000, make: probes },
    Many { what: "sites of one probe", count: 60_000, make: sites },
    Many { what: "processes", count: 30_000, make: processes },
    Many { what: "processes that fired nothing", count: 48_000, make: silent_processes },
    Many { what: "programs", count: 30_000, make: programs },
    Many { what: "programs, each with a probe of its own", count: 20_000, make: programs_with_probes },
    Many { what: "threads", count: 60_000, make: threads },
    Many { what: "threads of which each nests", count: 30_000, make: nesting_threads },
    Many { what: "starts of one program", count: 20_000, make: restarts },
    Many { what: "starts of programs with many threads", count: 200, make: restarts_of_many_threads },
    Many { what: "ends of processes", count: 60_000, make: exits },
    Many { what: "hosts", count: 9000, make: hosts },
    Many { what: "strings", count: 40_000, make: strings },
    Many { what: "texts that are keys", count: 30_000, make: text_keys },
    Many { what: "names of 4 KB", count: 600, make: long_names },
    Many { what: "words of command lines", count: 100_000, make: command_words },
    Many { what: "keys that end", count: 150_000, make: keys },
    Many { what: "keys that never end", count: 200_000, make: open_keys },
    Many { what: "ends without a begin", count: 200_000, make: orphan_ends },
    Many { what: "begins of one key", count: 200_000, make: repeated_begins },
    Many { what: "calls, each inside of the one before", count: 200_000, make: nested },
    Many { what: "buffers under way at once", count: 60_000, make: under_way },
    Many { what: "times that buffers overtake each other", count: 60_000, make: overtaking },
    Many { what: "clock anchors", count: 12_000, make: anchors },
    Many { what: "gaps", count: 12_000, make: gaps },
    Many { what: "gaps of other sites each", count: 10_000, make: gaps_of_sites },
    Many { what: "things that were skipped", count: 15_000, make: skipped },
    Many { what: "blocks of one event", count: 6000, make: blocks },
    Many { what: "values at the ends of their ranges", count: 20_000, make: huge_values },
    Many { what: "stages that buffers pass in any order", count: 2048, make: stages::any_order },
    Many { what: "stages whose spans take all kinds of time", count: 2048, make: stages::all_latencies },
    Many { what: "stages whose keys are to be chosen", count: 2048, make: stages::stages_without_keys },
    Many {
        what: "sites of a probe that begins 64 stages",
        count: 60_000,
        make: stages::sites_of_many_stages,
    },
    Many {
        what: "forms of arguments of a probe that begins 64 stages",
        count: 10_000,
        make: stages::forms_of_arguments,
    },
    Many { what: "keys that are meant to meet in a table", count: 60_000, make: meeting_keys },
    Many { what: "events at one time", count: 300_000, make: at_one_time },
    Many { what: "events at time 0", count: 300_000, make: at_time_zero },
    Many { what: "events with names of 4 KB", count: 4000, make: events_with_long_names },
    Many { what: "threads of a program with a name of 4 KB", count: 60_000, make: threads_with_a_long_name },
    Many { what: "probes with names of 4 KB that are found late", count: 600, make: found_late },
    Many { what: "strings of 4 KB", count: 3000, make: long_strings },
    Many { what: "stages that take turns on a thread", count: 100_000, make: more::taking_turns },
    Many { what: "spans, each half in the one before", count: 100_000, make: more::half_inside },
    Many { what: "gaps that are alike", count: 12_000, make: more::gaps_alike },
    Many { what: "gaps, each in the one before", count: 12_000, make: more::gaps_in_gaps },
    Many { what: "facts that are alike", count: 360_000, make: more::skipped_alike },
    Many { what: "facts with names of 4 KB", count: 800, make: more::long_facts },
    Many { what: "facts with reasons of 4 KB", count: 4000, make: more::long_reasons },
    Many { what: "sites that are alike", count: 400_000, make: more::sites_alike },
    Many { what: "processes that are alike", count: 250_000, make: more::processes_alike },
    Many { what: "hosts that are alike", count: 400_000, make: more::hosts_alike },
    Many { what: "sites that differ in a number", count: 100_000, make: more::sites_nearly_alike },
    Many { what: "processes that differ in a number", count: 150_000, make: more::processes_nearly_alike },
    Many { what: "clock anchors a nanosecond apart", count: 12_000, make: more::anchors_alike },
    Many { what: "blocks that are all of the same time", count: 3000, make: more::overlapping_blocks },
    Many { what: "blocks, each in the time of the one before", count: 3000, make: more::blocks_in_blocks },
    Many { what: "processes of one number", count: 30_000, make: more::one_number },
    Many { what: "processes, each of them a child of the one before", count: 30_000, make: more::children },
    Many { what: "threads of one number", count: 30_000, make: more::threads_alike },
    Many { what: "events of 12 strings", count: 8000, make: more::many_strings },
    Many { what: "events with numbers like chance", count: 9000, make: more::chance },
];

fn probes(it: &mut Making, count: u32) {
    it.few_spans();
    for number in 0..count {
        let site = it.number_site(&format!("p{number}"));
        it.fire(ThreadId(0), site, 1);
    }
}

fn sites(it: &mut Making, count: u32) {
    it.few_spans();
    for number in 0..count {
        let site = it.number_site("beg_s");
        it.fire(ThreadId(0), site, (1000 + number).into());
    }
}

fn processes(it: &mut Making, count: u32) {
    let (_, begin, end) = it.pair();
    for pid in 0..count {
        let thread = it.process(2 + pid, "p", 0);
        it.spans(thread, begin, end, 1);
    }
}

fn silent_processes(it: &mut Making, count: u32) {
    it.few_spans();
    for pid in 0..count {
        it.process(2 + pid, "p", 0);
    }
}

fn programs(it: &mut Making, count: u32) {
    let (_, begin, end) = it.pair();
    for pid in 0..count {
        let thread = it.process(2 + pid, &format!("p{pid}"), 0);
        it.spans(thread, begin, end, 1);
    }
}

fn programs_with_probes(it: &mut Making, count: u32) {
    it.few_spans();
    for pid in 0..count {
        let program = format!("p{pid}");
        let thread = it.process(2 + pid, &program, 0);
        let (provider, probe, args) = ("a".to_owned(), "hit".to_owned(), vec![ArgKind::Unsigned(8)]);
        let site = Site {
            provider: provider.into(),
            program: program.into(),
            probe: probe.into(),
            args: args.into(),
            ..Site::default()
        };
        let site = it.writer.site(Site { announced: true, ..site }).expect("written");
        it.fire(thread, site, 1);
    }
}

fn threads(it: &mut Making, count: u32) {
    let (_, begin, end) = it.pair();
    for tid in 0..count {
        let thread = it.thread(ProcessId(0), 2 + tid);
        it.spans(thread, begin, end, 1);
    }
}

fn nesting_threads(it: &mut Making, count: u32) {
    let (_, begin, end) = it.pair();
    it.stage("s", "a:beg_s", "a:end_s", "tid");
    for tid in 0..count {
        let thread = it.thread(ProcessId(0), 2 + tid);
        [begin, begin, end].iter().for_each(|&site| it.fire(thread, site, 5));
    }
}

fn restarts(it: &mut Making, count: u32) {
    let (_, begin, _) = it.pair();
    it.stage("s", "a:beg_s", "a:end_s", "seq");
    for start in 0..count {
        let thread = it.process(2 + start, "p", start.into());
        it.fire(thread, begin, 5);
    }
}

fn restarts_of_many_threads(it: &mut Making, count: u32) {
    let (_, begin, _) = it.pair();
    it.stage("s", "a:beg_s", "a:end_s", "seq");
    for start in 0..2 {
        it.process(2 + start, "p", start.into());
        let last = it.writer.definitions().processes.len() - 1;
        let threads: Vec<ThreadId> =
            (0..200 * count).map(|tid| it.thread(ProcessId::at(last), 10 + tid)).collect();
        for round in 0..count {
            threads.iter().step_by(count as usize).for_each(|&thread| it.fire(thread, begin, round.into()));
        }
    }
}

fn exits(it: &mut Making, count: u32) {
    it.few_spans();
    for number in 0..count {
        let exit = Exit { process: ProcessId(0), time_ns: number.into(), status: number };
        it.writer.define(Definition::Exit(exit)).expect("written");
    }
}

fn hosts(it: &mut Making, count: u32) {
    let (_, begin, end) = it.pair();
    for number in 0..count {
        let host = Host { name: format!("h{number}").into(), ..Host::default() };
        let host = it.writer.host(host).expect("written");
        let process = Process { host, pid: 1, program: "p".into(), ..Process::default() };
        let process = it.writer.process(process).expect("written");
        let thread = it.thread(process, 1);
        it.spans(thread, begin, end, 1);
        let anchor = ClockAnchor { host, realtime_ns: number.into(), ..ClockAnchor::default() };
        it.writer.clock(anchor).expect("written");
    }
}

fn strings(it: &mut Making, count: u32) {
    it.few_spans();
    let site = it.site("told", ArgKind::Str);
    for number in 0..count {
        let text = it.writer.intern(format!("text {number}").as_bytes());
        it.fire(ThreadId(0), site, text);
    }
}

fn text_keys(it: &mut Making, count: u32) {
    let thread = it.process(1, "p", 0);
    let (begin, end) = (it.site("beg_s", ArgKind::Str), it.site("end_s", ArgKind::Str));
    it.stage("s", "a:beg_s", "a:end_s", "str");
    for number in 0..count {
        for site in [begin, end] {
            let text = it.writer.intern(format!("text {number}").as_bytes());
            it.fire(thread, site, text);
        }
    }
}

fn long_names(it: &mut Making, count: u32) {
    it.few_spans();
    for number in 0..count {
        let long = |letter: &str| format!("{number}{}", letter.repeat(4000));
        let site = it.number_site(&long("|"));
        let thread = it.process(9 + number, &long("\u{1b}"), 0);
        it.fire(thread, site, 7);
        if number < count / 8 {
            it.stage(&long("s"), "a:beg_s", &format!("a:end_s|{}", long("e")), "seq");
        }
    }
}

fn command_words(it: &mut Making, count: u32) {
    it.few_spans();
    for pid in 0..count / 256 {
        let command = (0..256).map(|word| format!("{pid}{word}").into()).collect();
        let process = Process { pid, command, ..Process::default() };
        it.writer.process(process).expect("written");
    }
}

fn keys(it: &mut Making, count: u32) {
    let (thread, begin, end) = it.pair();
    it.spans(thread, begin, end, count.into());
}

fn open_keys(it: &mut Making, count: u32) {
    let (thread, begin, end) = it.pair();
    it.spans(thread, begin, end, 100);
    (100..count).for_each(|key| it.fire(thread, begin, scattered(key)));
}

fn orphan_ends(it: &mut Making, count: u32) {
    let (thread, begin, end) = it.pair();
    it.spans(thread, begin, end, 100);
    (100..count).for_each(|key| it.fire(thread, end, scattered(key)));
}

/// Keys without an order: 2 to 3 bytes each.
fn scattered(number: u32) -> u64 {
    u64::from(number.wrapping_mul(2_654_435_761) >> 12)
}

fn repeated_begins(it: &mut Making, count: u32) {
    let (thread, begin, _) = it.pair();
    it.stage("s", "a:beg_s", "a:end_s", "seq");
    (0..count).for_each(|_| it.fire(thread, begin, 5));
}

fn nested(it: &mut Making, count: u32) {
    let (thread, begin, end) = it.pair();
    it.stage("s", "a:beg_s", "a:end_s", "tid unwinding arg0");
    (0..count / 2).for_each(|depth| it.fire(thread, begin, depth.into()));
    // Ends that no begin has look through all of them.
    (0..count / 4).for_each(|_| it.fire(thread, end, u64::MAX));
    (0..count / 4).rev().for_each(|depth| it.fire(thread, end, depth.into()));
}

fn under_way(it: &mut Making, count: u32) {
    let (thread, begin, end) = it.pair();
    let [next, last] = ["beg_t", "end_t"].map(|probe| it.number_site(probe));
    for site in [begin, end, next, last] {
        (0..count / 4).for_each(|key| it.fire(thread, site, key.into()));
    }
}

fn overtaking(it: &mut Making, count: u32) {
    let (thread, begin, end) = it.pair();
    let [next, last] = ["beg_t", "end_t"].map(|probe| it.number_site(probe));
    let count = count / 4;
    (0..count).for_each(|key| it.fire(thread, begin, key.into()));
    (0..count).rev().for_each(|key| it.fire(thread, end, key.into()));
    (0..count).for_each(|key| it.fire(thread, next, key.into()));
    (0..count).rev().for_each(|key| it.fire(thread, last, key.into()));
}

fn anchors(it: &mut Making, count: u32) {
    it.few_spans();
    for number in 0..count {
        let now_ns = u64::from(number) * 100;
        let anchor = ClockAnchor {
            host: HostId(0),
            monotonic_ns: now_ns,
            boottime_ns: now_ns,
            realtime_ns: scattered(number).cast_signed(),
            tai_ns: 0,
        };
        it.writer.clock(anchor).expect("written");
    }
}

fn gaps(it: &mut Making, count: u32) {
    let (thread, begin, end) = it.pair();
    for number in 0..count {
        it.spans(thread, begin, end, 1);
        let from_ns = it.now_ns - u64::from(number % 100) * 1000;
        let gap = Gap { host: HostId(0), cpu: 0, site: Gap::ANY_SITE, from_ns, to_ns: it.now_ns, count: 1 };
        it.writer.gap(gap).expect("written");
    }
}

fn gaps_of_sites(it: &mut Making, count: u32) {
    it.few_spans();
    for number in 0..count {
        let site = it.number_site(&format!("p{number}"));
        let (from_ns, to_ns) = (1000, 1000 + u64::from(number));
        it.writer.gap(Gap { host: HostId(0), cpu: 0, site, from_ns, to_ns, count: 1 }).expect("written");
    }
}

fn skipped(it: &mut Making, count: u32) {
    it.few_spans();
    for number in 0..count {
        it.number_site(&format!("p{number}"));
        let skipped = Skipped {
            kind: SkippedKind::Sites,
            count: 1,
            provider: "a".to_owned(),
            probe: format!("q{number}"),
            reason: format!("because of {number}"),
            ..Skipped::default()
        };
        it.writer.define(Definition::Skipped(skipped)).expect("written");
    }
}

fn blocks(it: &mut Making, count: u32) {
    let (thread, begin, end) = it.pair();
    for number in 0..count {
        it.fire(thread, [begin, end][number as usize % 2], (number / 2).into());
        it.seal();
    }
}

fn huge_values(it: &mut Making, count: u32) {
    it.at_time(0, 2);
    let (thread, begin, end) = it.pair();
    let last = it.site("signed", ArgKind::Signed(8));
    let values = [0, u64::MAX, 1 << 63, (1 << 63) - 1];
    for (number, value) in (0..u64::from(count)).zip(values.into_iter().cycle()) {
        let value = value.wrapping_add(number / 4);
        [begin, end, last].iter().for_each(|&site| it.fire(thread, site, value));
    }
    it.now_ns = u64::MAX - 2001;
    it.spans(thread, begin, end, 1);
    it.at_time(u64::MAX, 2);
}

/// They differ in their high bits only.
fn meeting_keys(it: &mut Making, count: u32) {
    let (thread, begin, end) = it.pair();
    it.stage("s", "a:beg_s", "a:end_s", "seq");
    for site in [begin, end] {
        (0..u64::from(count)).for_each(|key| it.fire(thread, site, key << 48));
    }
}

fn at_one_time(it: &mut Making, count: u32) {
    it.at_time(1000, count);
}

/// A time that hashes to 0.
fn at_time_zero(it: &mut Making, count: u32) {
    it.at_time(0, count);
}

fn events_with_long_names(it: &mut Making, count: u32) {
    let thread = it.process(1, &"\u{1b}".repeat(4000), 0);
    let site = it.number_site(&"\u{1}".repeat(4000));
    (0..count).for_each(|key| it.fire(thread, site, key.into()));
}

fn threads_with_a_long_name(it: &mut Making, count: u32) {
    it.process(1, &"\u{1b}".repeat(4000), 0);
    let (begin, end) = (it.number_site("beg_s"), it.number_site("end_s"));
    for tid in 0..count {
        let thread = it.thread(ProcessId(0), 2 + tid);
        // The lines of all would be a gigabyte.
        if tid % 100 == 0 {
            it.spans(thread, begin, end, 1);
        }
    }
}

fn found_late(it: &mut Making, count: u32) {
    it.few_spans();
    for number in 0..count {
        let probe = format!("{number}{}", "\u{1}".repeat(4000));
        let (provider, program) = ("a".to_owned(), "\u{1b}".repeat(4000));
        let late = Site {
            provider: provider.into(),
            program: program.into(),
            probe: probe.into(),
            announced: true,
            found_ns: 1 << 40,
            ..Site::default()
        };
        it.writer.site(late).expect("written");
    }
}

fn long_strings(it: &mut Making, count: u32) {
    it.few_spans();
    let site = it.site("told", ArgKind::Str);
    for number in 0..count {
        let text = it.writer.intern(format!("{number}{}", "\u{1b}".repeat(4000)).as_bytes());
        it.fire(ThreadId(0), site, text);
    }
}
