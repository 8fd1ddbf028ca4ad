//! Libraries that a running program loads: attached to after they were mapped, which is said, with how long it took; or before, if
//! they lie beside those that it needs.

use std::process::Command;

use crate::target::{Target, until};
use crate::tool::{Folder, Recording, compile_c, events, is_only_late, live, stderr, stdout};

/// For each line it loads the library that it names, and has it fire.
const LOADS: &str = r#"
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
int main(int count, char **words) {
    char line[4096];
    while (fgets(line, sizeof line, count > 1 ? fopen(words[1], "r") : stdin)) {
        line[strcspn(line, "\n")] = 0;
        void *library = dlopen(line, RTLD_NOW);
        int (*work)(int) = library ? (int (*)(int))dlsym(library, "work") : 0;
        printf("%d\n", work ? work(1) : -1);
        fflush(stdout);
        if (count > 1) return 0;
    }
}
"#;

const LIBRARY: &str = r#"
#include <sys/sdt.h>
int work(int n) { STAP_PROBE1(late, call, n); return n; }
"#;

const SAID: &str = " ms after a process that ran had mapped it: what it fired meanwhile may be missing";

#[test]
#[ignore = "needs root and eBPF"]
fn a_library_that_is_loaded_later_is_named_with_how_late_it_was_attached_to() {
    let _alone = live();
    let folder = Folder::new("late");
    let library = compile_c(&folder, "liblate.so", LIBRARY, &["-O2", "-shared", "-fPIC"]);
    let program = compile_c(&folder, "loads", LOADS, &["-O2"]);
    let [mut first, mut second] = [(); 2].map(|()| Target::start(&mut Command::new(&program)));
    let recording = Recording::start(&folder, &["-o", "run.trace", "-e", "late:*", "--wait", "--print"]);
    let count = || events(&std::fs::read_to_string(folder.path("printed")).expect("there")).len();
    until("it is attached to", || first.ask(library.display()) == "1" && count() > 0);
    let before = count();
    assert_eq!(second.ask(library.display()), "1", "attached to already: nothing of it is missing");
    until("it is recorded", || count() > before);
    let said = stderr(&recording.stop());
    let pid = first.pid();
    let named = format!("1 site in {} (process {pid}): attached to ", library.display());
    assert_eq!(said.matches(SAID).count(), 1, "{said}");
    assert!(said.contains(&named), "{said}");
    let info = stdout(&folder.tracer(&["info", "run.trace"]), 3);
    assert!(info.contains(&named) && info.contains(SAID), "{info}");
    stdout(&folder.tracer(&["replay", "run.trace"]), 3);
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_command_that_loads_a_library_is_not_wrong_in_silence() {
    let _alone = live();
    let folder = Folder::new("late-command");
    let library = compile_c(&folder, "liblate.so", LIBRARY, &["-O2", "-shared", "-fPIC"]);
    compile_c(&folder, "loads", LOADS, &["-O2"]);
    folder.write("list", library.display().to_string());
    let script = "for i in $(seq 200); do ./loads list >&2; done";
    let output = folder.tracer(&["record", "-o", "run.trace", "-e", "late:*", "--", "sh", "-c", script]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains(SAID) && !said.contains("never fired"), "{said}");
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 3);
    assert!(!events(&log).is_empty(), "the later ones are recorded");
}

#[test]
#[ignore = "needs root and eBPF"]
fn a_library_beside_those_of_its_program_is_recorded_from_its_first_probe() {
    let _alone = live();
    let folder = Folder::new("beside");
    std::fs::create_dir_all(folder.path("app/lib/inner")).expect("folders");
    let shared = ["-O2", "-shared", "-fPIC"];
    let library = compile_c(&folder, "app/lib/inner/liblate.so", LIBRARY, &shared);
    compile_c(&folder, "app/lib/libneeded.so", "int needed(void) { return 1; }", &shared);
    let libraries = format!("-L{}", folder.path("app/lib").display());
    let link = ["-O2", "-Wl,--no-as-needed,-rpath,$ORIGIN/lib", &libraries, "-lneeded"];
    compile_c(&folder, "app/loads", LOADS, &link);
    folder.write("list", library.display().to_string());
    let args = ["record", "-o", "run.trace", "-e", "late:*", "--", "app/loads", "list"];
    let said = stderr(&folder.tracer(&args));
    assert!(!said.contains("not recorded: "), "{said}");
    let log = stdout(&folder.tracer(&["replay", "run.trace"]), 0);
    assert_eq!(events(&log).len(), 1, "{said}");
}

/// More of them than stay attached to: its own probes come first, and what is loaded too late is said.
#[test]
#[ignore = "needs root and eBPF"]
fn a_program_with_very_many_libraries_beside_its_own_is_recorded_from_its_first_probe() {
    let _alone = live();
    let folder = Folder::new("beside-many");
    std::fs::create_dir_all(folder.path("app/lib")).expect("folders");
    let shared = ["-O2", "-shared", "-fPIC"];
    let library = compile_c(&folder, "app/lib/liblate.so", LIBRARY, &shared);
    let bytes = std::fs::read(&library).expect("read");
    (0..1000).for_each(|number| drop(folder.write(&format!("app/lib/lib{number}.so"), &bytes)));
    compile_c(&folder, "app/lib/libneeded.so", "int needed(void) { return 1; }", &shared);
    let libraries = format!("-L{}", folder.path("app/lib").display());
    let link = ["-O2", "-Wl,--no-as-needed,-rpath,$ORIGIN/lib", &libraries, "-lneeded"];
    let main = LOADS.replace("    char line", "    STAP_PROBE(late, own);\n    char line");
    compile_c(&folder, "app/loads", &format!("#include <sys/sdt.h>\n{main}"), &link);
    folder.write("list", library.display().to_string());
    let script = "for i in 1 2 3; do app/loads list; done";
    let whole = (0..3).filter(|_| {
        let args = ["record", "-f", "-o", "run.trace", "-e", "late:*", "--", "sh", "-c", script];
        let said = stderr(&folder.tracer(&args));
        let log = stdout(
            &folder.tracer(&["replay", "run.trace"]),
            if said.contains("not recorded: ") { 3 } else { 0 },
        );
        let of = |probe: &str| events(&log).into_iter().filter(|event| event.3 == probe).count();
        assert!(of("late:own") + of("late:call") == 6 || is_only_late(&said), "{said}");
        of("late:own") == 3 && of("late:call") >= 2
    });
    assert!(whole.count() > 0, "each time something of the program itself was missing");
}

/// Loads the library that its second word names and has it fire, as its first word says: from memory; in a child, which is forked
/// and runs no other program; or for a moment only.
const BRIEFLY: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int count, char **words) {
    int is_forked = !strcmp(words[1], "forked");
    if (is_forked && fork() != 0) return wait(0) > 0 ? 0 : 2;
    char path[64];
    if (!strcmp(words[1], "memory")) {
        int from = open(words[2], O_RDONLY), to = memfd_create("late", 0);
        while (sendfile(to, from, 0, 1 << 20) > 0) {}
        snprintf(path, sizeof path, "/proc/self/fd/%d", to);
        words[2] = path;
    }
    void *library = dlopen(words[2], RTLD_NOW);
    int (*work)(int) = library ? (int (*)(int))dlsym(library, "work") : 0;
    if (!work || work(1) != 1) return 1;
    if (is_forked) _exit(0);
    if (!strcmp(words[1], "closed")) dlclose(library), sleep(1);
    return 0;
}
"#;

/// No file and no process leads to them any more when they are looked at.
#[test]
#[ignore = "needs root and eBPF"]
fn a_library_that_is_loaded_for_a_moment_is_not_missed_in_silence() {
    let _alone = live();
    let folder = Folder::new("briefly");
    compile_c(&folder, "briefly", BRIEFLY, &["-O2"]);
    compile_c(&folder, "liblate.so", LIBRARY, &["-O2", "-shared", "-fPIC"]);
    for (how, said) in [("memory", "1 file: such as /memfd:late"), ("forked", SAID), ("closed", SAID)] {
        for round in 0..5 {
            // Another file each time; the last of them is gone at the end.
            let script = format!(
                "cp liblate.so {how}{round}.so && ./briefly {how} ./{how}{round}.so && rm {how}{round}.so"
            );
            let args = ["record", "-f", "-o", "run.trace", "-e", "late:*", "--", "sh", "-c", &script];
            let output = folder.tracer(&args);
            let log = folder.tracer(&["replay", "run.trace"]);
            let is_recorded = events(&String::from_utf8_lossy(&log.stdout)).len() == 1;
            assert!(is_recorded || output.status.code() == Some(3), "{how}: {}", stderr(&output));
            let gone = "mapped by processes that ended";
            assert!(
                is_recorded || [said, SAID, gone].iter().any(|it| stderr(&output).contains(it)),
                "{how}: {}",
                stderr(&output)
            );
        }
    }
}
