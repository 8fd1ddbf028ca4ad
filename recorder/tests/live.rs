//! Real probes in real programs: every form of argument, both ways to attach, losses, order, filters.
//!
//! Needs root and eBPF.

mod live_run;
mod target;

use live_run::{Caught, Recording, Settings, Target};
use target::{Folder, compile};
use tracer_recorder::kernel::link::AttachMode;

/// Fires twelve arguments of all sizes, N times for each line N of its input.
const ARGUMENTS: &str = r#"
#include <stdint.h>
#include <stdio.h>
#include <sys/sdt.h>
volatile uint64_t seed;
static int16_t shorts[64];
static volatile int counter;
int main(void) {
    long n;
    setvbuf(stdout, 0, _IOLBF, 0);
    for (int i = 0; i < 64; i++) shorts[i] = -i;
    while (scanf("%ld", &n) == 1) {
        for (long i = 0; i < n; i++) {
            uint64_t x = seed + i;
            int8_t a = -x; uint8_t b = x; int16_t c = -x; uint16_t d = x; int32_t e = -x; uint32_t f = x;
            int64_t g = -x; uint64_t h = x << 40; uint8_t next = x + 1;
            int life = 42, seven = -7, five = -5;
            STAP_PROBE12(live, all, a, b, c, d, e, f, g, h, life, seven, shorts[i & 63], x);
            STAP_PROBE1(live, one, x);
            STAP_PROBE(live, none);
            STAP_PROBE3(live, three, x, next, five);
            counter = e;
            STAP_PROBE1(live, global, counter);
        }
        puts("done");
    }
}
"#;

fn expected(i: u64) -> Vec<u64> {
    let minus = |bits: u32| (i.wrapping_neg().cast_signed() << (64 - bits) >> (64 - bits)).cast_unsigned();
    let low = |bits: u32| i << (64 - bits) >> (64 - bits);
    let signed = |value: i64| value.cast_unsigned();
    let element = signed(-i64::try_from(i & 63).unwrap());
    vec![
        minus(8),
        low(8),
        minus(16),
        low(16),
        minus(32),
        low(32),
        minus(64),
        i << 40,
        42,
        signed(-7),
        element,
        i,
    ]
}

fn check_arguments(constraint: &str, mode: AttachMode) {
    let folder = Folder::new(&format!("live-arguments-{constraint}-{mode:?}"));
    let option = format!("-DSTAP_SDT_ARG_CONSTRAINT={constraint}");
    let path = compile(&folder, "arguments", ARGUMENTS, &[&option]);
    let mut target = Target::start(&path);
    let mut recording = Recording::start(&path, &Settings { mode, ..Settings::default() });
    for _ in 0..3 {
        target.fire(1000);
    }
    let events = recording.stop();
    assert_eq!(recording.lost(), 0);
    assert_eq!(events.len(), 3 * 5000);
    for (at, event) in events.iter().enumerate() {
        let i = (at / 5 % 1000) as u64;
        let (name, values) = match at % 5 {
            0 => ("all", expected(i)),
            1 => ("one", vec![i]),
            2 => ("none", vec![]),
            3 => ("three", vec![i, (i + 1) & 0xff, (-5_i64).cast_unsigned()]),
            _ => ("global", vec![expected(i)[4]]),
        };
        assert_eq!((event.probe.as_str(), &event.values, event.unreadable), (name, &values, 0), "event {at}");
        assert_eq!((event.pid, event.tid), (target.pid(), target.pid()));
    }
    assert!(events.is_sorted_by_key(|event| event.time_ns));
}

#[test]
#[ignore = "needs root and eBPF"]
fn arguments_in_registers_have_the_right_values() {
    check_arguments("nr", AttachMode::Multi);
}

#[test]
#[ignore = "needs root and eBPF"]
fn arguments_in_memory_have_the_right_values() {
    check_arguments("m", AttachMode::Multi);
}

#[test]
#[ignore = "needs root and eBPF"]
fn arguments_where_the_compiler_wants_them_have_the_right_values() {
    check_arguments("nor", AttachMode::Auto);
}

#[test]
#[ignore = "needs root and eBPF"]
fn perf_events_give_the_same() {
    check_arguments("nor", AttachMode::Perf);
}

/// A string, one that cannot be read, and a long one; the addresses change with every firing.
const STRINGS: &str = r#"
#include <stdio.h>
#include <string.h>
#include <sys/sdt.h>
static char text[1024], lengthy[1024];
int main(void) {
    long n;
    setvbuf(stdout, 0, _IOLBF, 0);
    memset(lengthy, 'x', 1000);
    while (scanf("%ld", &n) == 1) {
        for (long i = 0; i < n; i++) {
            sprintf(text, "call \"%ld\"\n", i);
            STAP_PROBE4(live, text, text, i, (char *)8, lengthy);
        }
        puts("done");
    }
}
"#;

#[test]
#[ignore = "needs root and eBPF"]
fn strings_are_read_and_cut_and_unreadable_ones_marked() {
    let folder = Folder::new("live-strings");
    let path = compile(&folder, "strings", STRINGS, &[]);
    let mut target = Target::start(&path);
    let request = "live:text(arg0:str,arg2:str,arg3:str)";
    let mut recording = Recording::start(&path, &Settings { request, ..Settings::default() });
    target.fire(500);
    let events = recording.stop();
    assert_eq!((events.len(), recording.lost()), (500, 0));
    for (i, event) in events.iter().enumerate() {
        assert_eq!(event.strings, [format!("call \"{i}\"\n"), "x".repeat(255)]);
        assert_eq!((event.values[1], event.unreadable), (i as u64, 0b0100));
    }
}

/// Fires only while it is traced; says how often its semaphore was not zero.
const SEMAPHORE: &str = r#"
#define _SDT_HAS_SEMAPHORES 1
#include <stdio.h>
#include <sys/sdt.h>
unsigned short live_guarded_semaphore __attribute__((section(".probes")));
int main(void) {
    long n;
    setvbuf(stdout, 0, _IOLBF, 0);
    while (scanf("%ld", &n) == 1) {
        for (long i = 0; i < n; i++)
            if (*(volatile unsigned short *)&live_guarded_semaphore) STAP_PROBE1(live, guarded, i);
        printf("%d\n", live_guarded_semaphore);
    }
}
"#;

#[test]
#[ignore = "needs root and eBPF"]
fn semaphores_are_raised_while_attached_and_zero_again_after() {
    let folder = Folder::new("live-semaphore");
    let path = compile(&folder, "semaphore", SEMAPHORE, &[]);
    let mut target = Target::start(&path);
    for mode in [AttachMode::Multi, AttachMode::Perf] {
        assert_eq!(target.fire(10), "0", "{mode:?}");
        let mut recording = Recording::start(&path, &Settings { mode, ..Settings::default() });
        assert_eq!(target.fire(10), "1", "{mode:?}");
        assert_eq!(Target::start(&path).fire(5), "1", "a process that began later, {mode:?}");
        assert_eq!(recording.stop().len(), 15, "{mode:?}");
        assert_eq!(target.fire(10), "0", "{mode:?}");
    }
}

#[test]
#[ignore = "needs root and eBPF"]
fn what_is_lost_is_counted_for_its_site_and_located_in_time() {
    let folder = Folder::new("live-loss");
    let path = compile(&folder, "loss", ARGUMENTS, &[]);
    let mut target = Target::start(&path);
    let small = Settings { lane_slots: 4096, ring_bytes: 4096, ..Settings::default() };
    let mut recording = Recording::start(&path, &small);
    let (mut fired, mut caught) = (0, Vec::new());
    // The reader comes late twice, so there are two ranges of lost events.
    for _ in 0..2 {
        let begin_ns = tracer_recorder::host::monotonic_ns();
        target.fire(20_000);
        fired += 20_000;
        let end_ns = tracer_recorder::host::monotonic_ns();
        let losses = recording.losses.len();
        caught.extend(recording.collect());
        for loss in &recording.losses[losses..] {
            assert!(
                begin_ns <= loss.first_ns && loss.first_ns <= loss.last_ns && loss.last_ns <= end_ns,
                "{loss:?}"
            );
        }
        assert!(recording.losses.len() > losses, "nothing was lost");
    }
    caught.extend(recording.stop());
    for (site, probe) in recording.probes().into_iter().enumerate() {
        let recorded = caught.iter().filter(|event| event.probe == probe).count() as u64;
        let of_site = |loss: &&tracer_recorder::drain::loss::Loss| loss.site.index() == site;
        let lost: u64 = recording.losses.iter().filter(of_site).map(|loss| loss.count).sum();
        assert_eq!(recorded + lost, fired, "{probe}: {recorded} recorded, {lost} lost");
        assert!(recorded > 0 && lost > 0, "{probe}");
    }
}

#[test]
#[ignore = "needs root and eBPF"]
fn several_producers_are_merged_in_time_without_loss() {
    let folder = Folder::new("live-order");
    let path = compile(&folder, "order", ARGUMENTS, &[]);
    let mut targets: Vec<Target> = (0..4).map(|_| Target::start(&path)).collect();
    let mut recording = Recording::start(&path, &Settings { request: "live:one", ..Settings::default() });
    targets.iter_mut().for_each(|target| target.begin(50_000));
    let mut events: Vec<Caught> = Vec::new();
    for target in &mut targets {
        while !target.has_answered() {
            events.extend(recording.collect());
        }
    }
    events.extend(recording.stop());
    assert_eq!((events.len(), recording.lost()), (200_000, 0));
    assert!(events.is_sorted_by_key(|event| event.time_ns));
    for target in &targets {
        let values = events.iter().filter(|event| event.pid == target.pid()).map(|event| event.values[0]);
        assert!(values.eq(0..50_000), "process {}", target.pid());
    }
}

#[test]
#[ignore = "needs root and eBPF"]
fn only_admitted_processes_are_recorded_if_asked() {
    let folder = Folder::new("live-admit");
    let path = compile(&folder, "admit", ARGUMENTS, &[]);
    let (mut one, mut other) = (Target::start(&path), Target::start(&path));
    let settings = Settings { request: "live:one", only_admitted: true, ..Settings::default() };
    let mut recording = Recording::start(&path, &settings);
    recording.program.admit(one.pid()).unwrap();
    one.fire(10);
    other.fire(20);
    recording.program.dismiss(one.pid());
    recording.program.admit(other.pid()).unwrap();
    one.fire(30);
    other.fire(40);
    let events = recording.stop();
    let count = |pid: u32| events.iter().filter(|event| event.pid == pid).count();
    assert_eq!((count(one.pid()), count(other.pid())), (10, 40));
}

#[test]
#[ignore = "needs root and eBPF"]
fn many_recordings_leave_nothing_open() {
    let folder = Folder::new("live-cycles");
    let path = compile(&folder, "cycles", ARGUMENTS, &[]);
    let mut target = Target::start(&path);
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    // Other tests run in this process at the same time, so compare with what this one opens at a time.
    let before = open();
    let small = Settings { request: "live:one", lane_slots: 4096, ring_bytes: 4096, ..Settings::default() };
    for _ in 0..20 {
        let mut recording = Recording::start(&path, &small);
        target.fire(10);
        assert_eq!(recording.stop().len(), 10);
    }
    assert!(open() < before + 100, "{before} descriptors before, {} after", open());
    target.fire(10);
}
