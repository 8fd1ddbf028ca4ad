//! Sites that the kernel cannot attach to, beside others in one program.

use crate::tool::{Folder, compile_c, events, live, stderr, stdout};

/// A probe of `sys/sdt.h`, and one on a bare ten-byte nop.
const MIXED: &str = r#"
#include <sys/sdt.h>
#include <unistd.h>
int main(void) {
    for (long i = 0; i < 100000; i++) {
        STAP_PROBE1(mixed, plain, i);
        __asm__ volatile("990: .byte 0x66,0x2e,0x0f,0x1f,0x84,0,0,0,0,0\n"
            ".pushsection .note.stapsdt,\"?\",\"note\"\n.balign 4\n.4byte 992f-991f,994f-993f,3\n"
            "991: .asciz \"stapsdt\"\n992: .balign 4\n993: .8byte 990b\n.8byte _.stapsdt.base\n.8byte 0\n"
            ".asciz \"mixed\"\n.asciz \"ten\"\n.asciz \"8@%0\"\n994: .balign 4\n.popsection\n" :: "r"(i));
        usleep(500);
    }
}
"#;

/// What a running program had with a ten-byte nop, the kernel refused all sites of, also the good ones.
#[test]
#[ignore = "needs root and eBPF"]
#[cfg(target_arch = "x86_64")]
fn a_ten_byte_nop_does_not_cost_the_other_probes_of_a_running_program() {
    let _alone = live();
    let folder = Folder::new("nop10");
    let program = compile_c(&folder, "mixed", MIXED, &["-O2"]);
    let mut running = std::process::Command::new(program).spawn().expect("runs");
    for mode in ["multi", "perf"] {
        let args = ["record", "-f", "-o", "run.trace", "-e", "mixed:*", "-x", "mixed", "--attach", mode];
        let output = folder.tracer(&[&args[..], &["--max-events", "5"]].concat());
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(3), "{mode}: {said}");
        assert!(said.contains("tracer: not recorded: mixed:ten in "), "{said}");
        assert!(!said.contains("never fired"), "{said}");
        assert!(
            said.contains(": the kernel cannot attach to the probe's ten-byte nop; left out\n"),
            "{said}"
        );
        let log = stdout(&folder.tracer(&["replay", "run.trace"]), 3);
        assert!(events(&log).iter().any(|event| event.3 == "mixed:plain"), "{mode}: {said}");
        for verb in ["info", "analyze"] {
            let report = stdout(&folder.tracer(&[verb, "run.trace"]), 3);
            assert!(report.contains("mixed:ten in "), "{report}");
        }
        let other = ["replay", "run.trace", "-e", "mixed:plain"];
        stdout(&folder.tracer(&other), 0);
    }
    let _ = running.kill();
    let _ = running.wait();
}
