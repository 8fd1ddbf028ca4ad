//! A file that is rewritten in place while it is recorded: the breakpoints of what it was are wrong in what it is.

use std::process::Command;

use crate::target::{Target, until};
use crate::tool::{Folder, Recording, compile_c, events, is_only_late, live, stderr, stdout};

/// At one place there is a probe in the first build and the middle of an instruction in the second, and the other way round.
const VALUE: &str = r#"
#include <sys/sdt.h>
__attribute__((noinline, aligned(4096))) unsigned long value(int i) {
    unsigned long v;
#ifdef SECOND
    __asm__ volatile("movabs $0x1111111111111111, %0" : "=a"(v));
    STAP_PROBE1(written, second, i);
#else
    __asm__ volatile("nop; nop; nop; nop");
    STAP_PROBE1(written, first, i);
    __asm__ volatile("movabs $0x1111111111111111, %0" : "=a"(v));
#endif
    return v;
}
"#;

const MAIN: &str = r#"
unsigned long value(int i);
int main(void) {
    for (int i = 0; i < 10; i++) if (value(i) != 0x1111111111111111) return 1;
    return 0;
}
"#;

/// Runs `script` in a recording; gives its exit code and how often each probe was recorded.
#[track_caller]
fn check(folder: &Folder, script: &str, first: usize, second: usize) {
    let args = ["record", "-q", "-f", "-o", "run.trace", "-e", "written:*", "--", "sh", "-ec", script];
    let mut output = folder.tracer(&args);
    // Held for longer than a second, as on a loaded machine, a program runs as it is, unrecorded, which is said.
    for _ in 0..5 {
        if output.status.code() == Some(3) && is_only_late(&stderr(&output)) {
            output = folder.tracer(&args);
        }
    }
    let info = String::from_utf8_lossy(&folder.tracer(&["info", "run.trace"]).stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{script}: {}{info}", stderr(&output));
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
    let events = events(&log);
    let count = |name: &str| events.iter().filter(|event| event.3 == name).count();
    assert_eq!((count("written:first"), count("written:second")), (first, second), "{script}: {log}");
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_program_that_is_rewritten_in_place_runs_as_it_is_and_is_recorded_as_it_is() {
    let _alone = live();
    let folder = Folder::new("rewritten");
    let source = format!("{VALUE}{MAIN}");
    compile_c(&folder, "one", &source, &["-O2"]);
    compile_c(&folder, "two", &source, &["-O2", "-DSECOND"]);
    compile_c(&folder, "none", "int main(void) { return 0; }", &["-O2"]);
    // Neither the time nor the size of the file need tell that it was written.
    for pause in ["", "sleep 0.3;"] {
        check(&folder, &format!("cp one app; ./app; {pause} cp two app; ./app"), 10, 10);
        check(
            &folder,
            &format!("cp two app; ./app; {pause} cp one app; ./app; {pause} cp two app; ./app"),
            10,
            20,
        );
        check(
            &folder,
            &format!("cp one app; ./app; {pause} cp none app; ./app; {pause} cp one app; ./app"),
            20,
            0,
        );
        check(&folder, &format!("cp -p one app; ./app; {pause} cp two app; touch -r one app; ./app"), 10, 10);
    }
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_library_that_is_rewritten_in_place_is_seen_before_the_next_program_runs() {
    let _alone = live();
    let folder = Folder::new("rewritten-library");
    compile_c(&folder, "one", VALUE, &["-O2", "-shared", "-fPIC"]);
    compile_c(&folder, "two", VALUE, &["-O2", "-shared", "-fPIC", "-DSECOND"]);
    std::fs::copy(folder.path("one"), folder.path("lib.so")).expect("copied");
    let library = folder.path("lib.so");
    let flags = ["-O2", "-Wl,--no-as-needed,-rpath,$ORIGIN", library.to_str().expect("UTF-8")];
    compile_c(&folder, "app", MAIN, &flags);
    for pause in ["", "sleep 0.3;"] {
        let script =
            format!("cp one lib.so; ./app; {pause} cp two lib.so; ./app; {pause} cp one lib.so; ./app");
        check(&folder, &script, 20, 10);
    }
}

/// For each line it loads the library, calls it and lets it go, but for the line `keep`.
const LOADER: &str = r#"
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
int main(int count, char **words) {
    char line[16];
    (void)count;
    while (fgets(line, sizeof line, stdin)) {
        void *library = dlopen(words[1], RTLD_NOW);
        unsigned long (*value)(int) = library ? (unsigned long (*)(int))dlsym(library, "value") : 0;
        int right = 0;
        for (int i = 0; value && i < 10; i++) right += value(i) == 0x1111111111111111;
        if (library && strncmp(line, "keep", 4)) dlclose(library);
        printf("%d\n", right);
        fflush(stdout);
    }
    return 0;
}
"#;

/// No program begins meanwhile: the library is loaded by one that runs.
#[test]
#[ignore = "needs root and eBPF"]
fn a_library_that_is_rewritten_in_place_is_detached_from_before_a_running_program_loads_it() {
    let _alone = live();
    let folder = Folder::new("rewritten-loaded");
    compile_c(&folder, "one", VALUE, &["-O2", "-shared", "-fPIC"]);
    compile_c(&folder, "two", VALUE, &["-O2", "-shared", "-fPIC", "-DSECOND"]);
    let loader = compile_c(&folder, "loader", LOADER, &["-O2", "-ldl"]);
    let library = folder.path("lib.so");
    std::fs::copy(folder.path("one"), &library).expect("copied");
    let [mut keeps, mut loads] = [(); 2].map(|()| Target::start(Command::new(&loader).arg(&library)));
    let recording = Recording::start(&folder, &["-o", "run.trace", "-e", "written:*", "--wait", "--print"]);
    let printed = |name: &str| std::fs::read_to_string(folder.path("printed")).expect("there").contains(name);
    assert_eq!(keeps.ask("keep"), "10");
    until("the first build is recorded", || loads.ask("load") == "10" && printed("written:first "));
    assert!(Command::new("cp").arg(folder.path("two")).arg(&library).status().expect("cp runs").success());
    until("it is detached from", || {
        let info = folder.tracer(&["info", "run.trace"]);
        String::from_utf8_lossy(&info.stdout).contains("written to while it ran")
    });
    until("the second build is recorded", || {
        assert_eq!(loads.ask("load"), "10", "it computes what it computes without a recorder");
        printed("written:second ")
    });
    let output = recording.stop();
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert_eq!(stderr(&output).matches("written to while it ran").count(), 1, "{}", stderr(&output));
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_file_that_was_only_touched_stays_attached() {
    let _alone = live();
    let folder = Folder::new("touched");
    compile_c(&folder, "app", &format!("{VALUE}{MAIN}"), &["-O2"]);
    check(&folder, "./app; touch app; ./app; cp app copy; cp copy app; ./app", 30, 0);
    let info = stdout(&folder.tracer(&["info", "run.trace"]), 0);
    assert_eq!(info.matches("written:first").count(), 1, "one site: {info}");
}
