//! Strings: of every length up to the one that was asked for, with NUL at the end or a length beside, in the log, `info` and
//! every export.

use crate::tool::{Folder, compile_c, events, live, stderr, stdout};

/// The probe `text` has a string and its length; `view` has strings of which only some bytes are meant.
const STRINGS: &str = r#"
#include <stdint.h>
#include <string.h>
#include <sys/sdt.h>

static char text[6000];

int main(void) {
    static const int lengths[] = {0, 1, 254, 255, 256, 999, 1000, 1001, 4095, 4096, 4097, 5999};
    memset(text, 'x', sizeof text);
    for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        text[lengths[i]] = 0;
        DTRACE_PROBE2(strings, text, text, lengths[i]);
        text[lengths[i]] = 'x';
        DTRACE_PROBE2(strings, view, (int64_t)lengths[i], text);
    }
    DTRACE_PROBE2(strings, view, (int64_t)3, "a\0b and more");
    DTRACE_PROBE2(strings, view, (int64_t)-1, text);
    DTRACE_PROBE2(strings, view, (int64_t)0, (char *)0);
    DTRACE_PROBE2(strings, view, (int64_t)1, (char *)8);
    return 0;
}
"#;

const LENGTHS: [usize; 12] = [0, 1, 254, 255, 256, 999, 1000, 1001, 4095, 4096, 4097, 5999];

/// Text of so many bytes as it stands in a log that has at most `max_bytes` of it.
fn logged(length: usize, max_bytes: usize) -> String {
    let mark = if length > max_bytes { "\\..." } else { "" };
    format!("\"{}{mark}\"", "x".repeat(length.min(max_bytes)))
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_string_is_whole_or_marked_as_cut_at_every_length() {
    let _alone = live();
    let folder = Folder::new("strings");
    let program = compile_c(&folder, "strings", STRINGS, &["-O2"]);
    let program = program.to_str().expect("UTF-8");
    for (limit, max_bytes) in [("", 255), (":1000", 1000), (":4096", 4096)] {
        let text = format!("strings:text(str{limit})");
        let view = format!("strings:view(arg1:str:arg0{limit})");
        let args = ["record", "-f", "-o", "s.trace", "-e", &text, "-e", &view, "--key", "strings:text=arg1"];
        let recorded = folder.tracer(&[&args[..], &["--", program]].concat());
        assert_eq!(recorded.status.code(), Some(0), "{}", stderr(&recorded));
        let log = stdout(&folder.tracer(&["replay", "s.trace"]), 0);
        let events = events(&log);
        let (pairs, last) = events.split_at(2 * LENGTHS.len());
        for (pair, length) in pairs.chunks(2).zip(LENGTHS) {
            let string = logged(length, max_bytes);
            assert_eq!(pair[0].4, format!("{length} | arg0: {string}"), "with NUL, {limit}");
            assert_eq!(pair[1].4, format!("{length} | arg1: {string}"), "with a length, {limit}");
        }
        let last: Vec<&str> = last.iter().map(|event| &event.4[..]).collect();
        assert_eq!(last, ["3 | arg1: \"a\\x00b\"", "-1 | arg1: ?", "0 | arg1: \"\"", "1 | arg1: ?"]);

        let info = stdout(&folder.tracer(&["info", "s.trace"]), 0);
        assert!(info.lines().any(|line| line.starts_with("cut ")), "{info}");
        for output in ["s.csv", "s.json"] {
            let exported = folder.tracer(&["export", "s.trace", "-f", "-o", output]);
            assert_eq!(exported.status.code(), Some(0), "{}", stderr(&exported));
        }
        let table = std::fs::read_to_string(folder.path("s.csv")).expect("written");
        assert!(table.contains(&"x".repeat(max_bytes)) && !table.contains(&"x".repeat(max_bytes + 1)));
    }
}

#[test]
#[ignore = "needs root and eBPF"]
fn twelve_long_strings_of_one_event_are_whole() {
    let _alone = live();
    let folder = Folder::new("twelve");
    let source = r#"
#include <string.h>
#include <sys/sdt.h>
static char t[12][4097];
int main(void) {
    for (int i = 0; i < 12; i++) memset(t[i], 'a' + i, 4096);
    DTRACE_PROBE12(twelve, all, t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9], t[10], t[11]);
    return 0;
}
"#;
    let program = compile_c(&folder, "twelve", source, &["-O2"]);
    let strings = ["str:4096"; 12].join(",");
    let request = format!("twelve:all({strings})");
    let args = ["record", "-o", "t.trace", "-e", &request, "--", program.to_str().expect("UTF-8")];
    let recorded = folder.tracer(&args);
    assert_eq!(recorded.status.code(), Some(0), "{}", stderr(&recorded));
    let log = stdout(&folder.tracer(&["replay", "t.trace"]), 0);
    for (at, letter) in ('a'..='l').enumerate() {
        let text = letter.to_string().repeat(4096);
        assert!(log.contains(&format!("arg{at}: \"{text}\"")), "{letter}");
    }
}

#[test]
#[ignore = "needs root and eBPF"]
fn memory_that_the_program_has_not_touched_is_read() {
    let _alone = live();
    let folder = Folder::new("untouched");
    let source = r#"
#include <string.h>
#include <sys/mman.h>
#include <sys/sdt.h>
#include <unistd.h>
int zeros[1 << 20];
int main(int argc, char **argv) {
    (void)argc;
    // Mapped and not touched: text that ends on the second page.
    int size = 3 * sysconf(_SC_PAGESIZE), file = memfd_create("text", 0);
    for (int i = 0; i < size; i++) if (write(file, i == 5000 ? "" : "x", 1) != 1) return 1;
    for (int i = 0; i < 2; i++) {
        char *text = mmap(0, size, PROT_READ, MAP_PRIVATE, file, 0);
        if (i == 0) DTRACE_PROBE2(untouched, text, text + 4000, zeros[500000]);
        else DTRACE_PROBE2(untouched, view, text + 4000, 3000L);
    }
    DTRACE_PROBE1(untouched, literal, "foo");
    return 0;
}
"#;
    let flags = ["-O2", "-D_GNU_SOURCE"];
    let program = compile_c(&folder, "untouched", source, &flags);
    let program = program.to_str().expect("UTF-8");
    for attach in ["auto", "perf"] {
        let args = ["record", "-f", "-o", "u.trace", "--attach", attach, "-e", "untouched:*(str:4096)"];
        let args = [&args[..], &["-e", "untouched:view(str:arg1:4096)", "--", program]].concat();
        let recorded = folder.tracer(&args);
        assert_eq!(recorded.status.code(), Some(0), "{}", stderr(&recorded));
        let log = stdout(&folder.tracer(&["replay", "u.trace"]), 0);
        let values: Vec<String> = events(&log).into_iter().map(|event| event.4).collect();
        let view = format!("{}\\x00{}", "x".repeat(1000), "x".repeat(1999));
        let expected = [
            format!("- | arg0: \"{}\" | arg1: 0", "x".repeat(1000)),
            format!("- | arg0: \"{view}\" | arg1: 3000"),
            "- | arg0: \"foo\"".to_owned(),
        ];
        assert_eq!(values, expected, "{attach}");
    }
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_probe_that_waits_for_memory_costs_others_nothing() {
    let _alone = live();
    let folder = Folder::new("waits");
    let source = r#"
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sdt.h>
#include <sys/syscall.h>
#include <unistd.h>
#define THREADS 8
#define PAGE 4096
char *area;
// Its text is on a page that is not there until the main thread brings it.
void *late(void *number) {
    DTRACE_PROBE2(waits, late, (long)number, area + (long)number * PAGE);
    return 0;
}
int main(void) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    sched_setaffinity(0, sizeof one, &one);
    int faults = syscall(SYS_userfaultfd, O_CLOEXEC);
    struct uffdio_api api = {.api = UFFD_API};
    if (faults < 0 || ioctl(faults, UFFDIO_API, &api)) return perror("userfaultfd"), 1;
    area = mmap(0, THREADS * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct uffdio_register range = {{(long)area, THREADS * PAGE}, UFFDIO_REGISTER_MODE_MISSING, 0};
    if (ioctl(faults, UFFDIO_REGISTER, &range)) return perror("register"), 1;
    pthread_t threads[THREADS];
    for (long i = 0; i < THREADS; i++) pthread_create(&threads[i], 0, late, (void *)i);
    struct uffd_msg fault;
    struct pollfd ready = {faults, POLLIN, 0};
    for (int i = 0; i < THREADS && poll(&ready, 1, 60000) == 1; i++)
        if (read(faults, &fault, sizeof fault) != sizeof fault) return 1;
    // All threads wait, on this processor.
    for (long i = 0; i < 1000; i++) DTRACE_PROBE2(waits, quick, i, "here");
    for (long i = 0; i < THREADS; i++) {
        char text[PAGE] __attribute__((aligned(PAGE)));
        sprintf(text, "brought %ld", i);
        struct uffdio_copy page = {(long)area + i * PAGE, (long)text, PAGE, 0, 0};
        if (ioctl(faults, UFFDIO_COPY, &page)) return perror("copy"), 1;
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], 0);
    return 0;
}
"#;
    let program = compile_c(&folder, "waits", source, &["-O2", "-D_GNU_SOURCE", "-pthread"]);
    let program = program.to_str().expect("UTF-8");
    for attach in ["auto", "perf"] {
        let args =
            ["record", "-f", "-o", "w.trace", "--attach", attach, "-e", "waits:*(_,str)", "--", program];
        let recorded = folder.tracer(&args);
        assert_eq!(recorded.status.code(), Some(0), "{}", stderr(&recorded));
        let log = stdout(&folder.tracer(&["replay", "w.trace"]), 0);
        let (quick, mut late): (Vec<_>, Vec<_>) =
            events(&log).into_iter().partition(|event| event.3 == "waits:quick");
        assert_eq!(quick.len(), 1000, "{attach}");
        // Their time is when the text was there, so that the file is in the order of time.
        assert!(late.iter().all(|event| event.0 > quick[999].0), "{log}");
        late.sort_by(|one, other| one.4.cmp(&other.4));
        let texts: Vec<String> = late.into_iter().map(|event| event.4).collect();
        let expected = (0..8).map(|i| format!("{i} | arg1: \"brought {i}\""));
        assert_eq!(texts, expected.collect::<Vec<_>>(), "{attach}");
    }
}
