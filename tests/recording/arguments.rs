//! The values of arguments, wherever a compiler puts them.

use crate::tool::{Folder, compile_c, events, live, stderr, stdout};

const ARGUMENTS: &str = r#"
#include <stdint.h>
#include <sys/sdt.h>

volatile int64_t memory[4] = {0, -7000000000, 0, 0};
volatile int32_t word = -5;
volatile uint16_t half = 65000;
volatile int8_t byte = -100;

__attribute__((noinline)) void fire(int8_t a, uint8_t b, int16_t c, uint16_t d, int32_t e, uint32_t f, int64_t g, uint64_t h) {
    DTRACE_PROBE8(widths, registers, a, b, c, d, e, f, g, h);
    DTRACE_PROBE4(widths, memory, memory[1], word, half, byte);
    DTRACE_PROBE4(widths, constants, 42, -1, 7000000000L, (uint8_t)200);
    DTRACE_PROBE(widths, nothing);
}

int main(void) {
    for (int i = 0; i < 3; i++)
        fire(-1, 255, -2, 65535, -3 - i, 4000000000u, INT64_MIN, UINT64_MAX);
    return 7;
}
"#;

#[test]
#[ignore = "needs root and eBPF"]
fn arguments_of_every_place_and_width_have_the_right_values() {
    let _alone = live();
    for flags in [&["-O2"][..], &["-O0"], &["-O2", "-no-pie", "-fno-pie"]] {
        let folder = Folder::new("arguments");
        let program = compile_c(&folder, "widths", ARGUMENTS, flags);
        let program = program.to_str().expect("UTF-8");
        let output = folder.tracer(&["record", "-o", "w.trace", "-e", "widths:*", "--", program]);
        assert_eq!(
            output.status.code(),
            Some(7),
            "the command's exit status is passed on: {}",
            stderr(&output)
        );
        let log = stdout(&folder.tracer(&["replay", "w.trace"]), 0);
        let events = events(&log);
        assert_eq!(events.len(), 12, "{log}");
        let registers = "-1 | arg1: 255 | arg2: -2 | arg3: 65535 | arg4: -3 | arg5: 4000000000 \
                         | arg6: -9223372036854775808 | arg7: 18446744073709551615";
        let expected = [
            ("widths:registers", registers),
            ("widths:memory", "-7000000000 | arg1: -5 | arg2: 65000 | arg3: -100"),
            ("widths:constants", "42 | arg1: -1 | arg2: 7000000000 | arg3: 200"),
            ("widths:nothing", "-"),
        ];
        for (event, (probe, values)) in events.iter().zip(expected) {
            assert_eq!((&event.3[..], &event.4[..]), (probe, values), "{flags:?}");
            assert_eq!(event.2, "widths");
        }
        assert!(events[4].4.contains("arg4: -4"), "{}", events[4].4);
    }
}

const PLACES: &str = r#"
#include <sys/sdt.h>

static __thread long first = 1;
__thread int mine = 42;
#define TEN(name) name##name##name##name##name##name##name##name##name##name
#define HUNDRED(name) TEN(name##name##name##name##name##name##name##name##name##name)
long HUNDRED(HUNDRED_letters_of_a_name_) = 7;

int main(void) {
    mine -= 2;
    DTRACE_PROBE2(places, thread, mine, first);
    DTRACE_PROBE1(places, plain, 1);
    DTRACE_PROBE1(places, named, HUNDRED(HUNDRED_letters_of_a_name_));
    return 0;
}
"#;

#[test]
#[ignore = "needs root and eBPF"]
fn thread_local_variables_and_those_with_long_names_have_the_right_values() {
    let _alone = live();
    for flags in [&["-O2"][..], &["-O2", "-no-pie", "-fno-pie"], &["-O2", "-static-pie"], &["-O2", "-static"]]
    {
        let folder = Folder::new("places");
        let program = compile_c(&folder, "places", PLACES, flags);
        let program = program.to_str().expect("UTF-8");
        let output = folder.tracer(&["record", "-o", "p.trace", "-e", "places:*", "--", program]);
        assert_eq!(output.status.code(), Some(0), "{flags:?}: {}", stderr(&output));
        let log = stdout(&folder.tracer(&["replay", "p.trace"]), 0);
        let values: Vec<String> = events(&log).into_iter().map(|event| event.4).collect();
        assert_eq!(values, ["40 | arg1: 1", "1", "7"], "{flags:?}");
    }
}
