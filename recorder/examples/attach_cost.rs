//! How long attaching to a thousand sites takes, and detaching: of this very program, in both modes.
//!
//! usage: `attach_cost [ROUNDS]` as root; prints medians, ms.

use std::fs::File;
use std::time::{Duration, Instant};

use tracer_format::SiteId;
use tracer_recorder::find::binary::Binary;
use tracer_recorder::kernel::link::{self, AttachMode, Place};
use tracer_recorder::kernel::program::{Program, ProgramOptions};

/// Perf events are detached one by one, 0.1 s each.
const PERF_SITES: usize = 10;

fn main() {
    let rounds = std::env::args().nth(1).map_or(11, |text| text.parse().expect("a number"));
    let path = std::env::current_exe().expect("a path");
    let requests = ["attach_cost:site".parse().expect("a request")];
    let (binary, _) =
        Binary::read(File::open(&path).expect("readable"), &path, &requests).expect("an ELF file");
    let sites = binary.expect("probes").sites;
    let places: Vec<Place> = (0..)
        .zip(&sites)
        .map(|(site, found)| Place { offset: found.offset, semaphore_offset: 0, site: SiteId(site) })
        .collect();
    let program = Program::load(&ProgramOptions {
        lane_slots: 4096,
        ring_bytes: 4096,
        only_admitted: false,
        one_by_one: false,
    });
    let program = program.expect("root and eBPF");
    fire();
    println!("{:<34} {:>8} {:>10} {:>10}", "mode", "sites", "attach ms", "detach ms");
    for (name, mode, count) in
        [("uprobe_multi", AttachMode::Multi, places.len()), ("perf events", AttachMode::Perf, PERF_SITES)]
    {
        let times = (0..rounds).map(|_| {
            let begun = Instant::now();
            let link = link::attach(&program, mode, &path, &places[..count]).expect("attached");
            let attached = begun.elapsed();
            let begun = Instant::now();
            drop(link);
            (attached, begun.elapsed())
        });
        let (attach, detach): (Vec<_>, Vec<_>) = times.unzip();
        println!("{name:<34} {count:>8} {:>10.1} {:>10.1}", median_ms(attach), median_ms(detach));
    }
}

fn median_ms(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e3
}

/// What `sys/sdt.h` makes of a probe without arguments, a thousand times.
#[inline(never)]
fn fire() {
    // SAFETY: a thousand instructions that do nothing, and notes beside the code.
    unsafe {
        std::arch::asm!(
            ".rept 1000",
            "990: nop",
            ".pushsection .note.stapsdt,\"\",\"note\"",
            ".balign 4",
            ".4byte 992f-991f, 994f-993f, 3",
            "991: .asciz \"stapsdt\"",
            "992: .balign 4",
            "993: .8byte 990b, _.stapsdt.base, 0",
            ".asciz \"attach_cost\"",
            ".asciz \"site\"",
            ".asciz \"\"",
            "994: .balign 4",
            ".popsection",
            ".endr",
            ".ifndef _.stapsdt.base",
            ".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat",
            ".weak _.stapsdt.base",
            ".hidden _.stapsdt.base",
            "_.stapsdt.base: .space 1",
            ".size _.stapsdt.base, 1",
            ".popsection",
            ".endif",
            options(nomem, nostack, preserves_flags)
        );
    }
}
