//! Programs that are started in every way that the kernel and the loader know: what they and their libraries fire first is
//! recorded, because both are attached to before their first instruction.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tool::{Folder, TRACER, compile_c, events, live, stderr, stdout};

/// Fires `start:load` when it is loaded, and `start:work` when it is called.
const LIBRARY: &str = r#"
#include <sys/sdt.h>
__attribute__((constructor)) static void load(void) { STAP_PROBE1(start, load, 7); }
void work(long n) { STAP_PROBE1(start, work, n); }
"#;

/// Calls the library ten times.
const USER: &str = "void work(long); int main(void) { for (long i = 0; i < 10; i++) work(i); }";

/// Events of one run.
const EVENTS: usize = 11;

/// Puts the program that its argument names in a file without a name, and runs that.
const PACKED: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>
extern char **environ;
int main(int count, char **words) {
    struct stat facts;
    int in = open(words[count - 1], O_RDONLY), out = memfd_create("packed", MFD_CLOEXEC);
    if (fstat(in, &facts) || sendfile(out, in, 0, facts.st_size) != facts.st_size) return 8;
    fexecve(out, words + 1, environ);
    return 9;
}
"#;

/// A program `user` and its library, with a copy of that in each of these subfolders; the program looks in `rpath`.
fn user(folder: &Folder, places: &[&str], rpath: &str) {
    let flags = ["-O2", "-shared", "-fPIC", "-Wl,-soname,libwork.so"];
    let library = compile_c(folder, "libwork.so", LIBRARY, &flags);
    compile_c(folder, "user", USER, &["-O2", &format!("-Wl,--no-as-needed,-rpath,{rpath}"), text(&library)]);
    for place in places {
        std::fs::create_dir_all(folder.path(place)).expect("made");
        folder.copy_program(&library, Path::new(place).join("libwork.so"));
    }
    std::fs::remove_file(library).expect("removed");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Has the kernel's loader of this machine, from a program that names it.
fn loader() -> &'static str {
    if cfg!(target_arch = "aarch64") { "/lib/ld-linux-aarch64.so.1" } else { "/lib64/ld-linux-x86-64.so.2" }
}

/// Checks that a command is recorded from its start, also as a child of the command.
#[track_caller]
fn check(folder: &Folder, command: &str, expected: usize) {
    let words: Vec<&str> = command.split(' ').collect();
    let in_shell = format!("{command}; true");
    for command in [&words[..], &["sh", "-c", &in_shell]] {
        let args = ["record", "-f", "-o", "run.trace", "-e", "start:*", "--"];
        let output = folder.tracer(&[&args[..], command].concat());
        // What is wrong with a file is said.
        let code = if in_shell.starts_with("./wrong") { 3 } else { 0 };
        assert_eq!(output.status.code(), Some(code), "{command:?}: {}", stderr(&output));
        let log = stdout(&folder.tracer(&["replay", "run.trace"]), code);
        assert_eq!(events(&log).len(), expected, "{command:?}: {}", stderr(&output));
    }
}

#[test]
#[ignore = "needs root and eBPF"]
fn programs_of_every_form_are_recorded_from_their_start() {
    let _alone = live();
    let folder = Folder::new("launch-form");
    user(&folder, &["lib"], text(&folder.path("lib")));
    let bytes = std::fs::read(folder.path("user")).expect("read");
    // As `llvm-objcopy --strip-sections` leaves it.
    let mut bare = bytes.clone();
    bare[40..48].fill(0);
    bare[58..64].fill(0);
    folder.write_program("bare", &bare);
    // As some packers leave it.
    let mut wrong = bytes;
    wrong[40..48].fill(0x7f);
    folder.write_program("wrong", &wrong);
    // The shell runs it, as the kernel does not know it.
    folder.write_program("script", b"./user\n");
    compile_c(&folder, "packed", PACKED, &["-O2"]);
    for command in ["./user", "./bare", "./wrong", "./script", "./packed ./user"] {
        check(&folder, command, EVENTS);
    }
    for arguments in ["", "--inhibit-cache --argv0 other "] {
        check(&folder, &format!("{} {arguments}./user", loader()), EVENTS);
    }
}

#[test]
#[ignore = "needs root and eBPF"]
fn libraries_are_found_where_the_loader_looks_for_them() {
    let _alone = live();
    let folder = Folder::new("launch-library");
    let places = ["lib", "lib64", "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu"];
    user(&folder, &places, "$ORIGIN/$LIB");
    check(&folder, "./user", EVENTS);

    let folder = Folder::new("launch-platform");
    let places = ["p/x86_64", "p/haswell", "p/xeon_phi", "p/aarch64"];
    user(&folder, &places, "$ORIGIN/p/${PLATFORM}");
    check(&folder, "./user", EVENTS);

    // Relative to where the process works, which is not where the recorder does.
    let folder = Folder::new("launch-relative");
    user(&folder, &["here/lib"], "lib");
    check(&folder, "env -C here ../user", EVENTS);

    let folder = Folder::new("launch-loader-path");
    user(&folder, &["other"], "/nowhere");
    check(&folder, &format!("{} --library-path {} ./user", loader(), text(&folder.path("other"))), EVENTS);
}

/// A link that leads a process to a file that it has open would lead another one elsewhere.
#[test]
#[ignore = "needs root and eBPF"]
fn a_link_to_what_a_process_has_open_leads_where_it_leads_that_process() {
    let _alone = live();
    let folder = Folder::new("launch-link");
    user(&folder, &["lib"], text(&folder.path("lib")));
    std::os::unix::fs::symlink("/proc/self/fd/9", folder.path("link")).expect("a link");
    for (name, script) in [
        ("program", "exec 9<user; ./link"),
        ("library", "exec 9<lib/libwork.so; LD_PRELOAD=./link /bin/true; LD_PRELOAD=./link ./user"),
        ("command", "exec 9<user; exec \"$TRACER\" record -f -o run.trace -e 'start:*' -- ./link"),
    ] {
        folder.write_program(name, format!("#!/bin/sh\n{script}\n").as_bytes());
    }
    check(&folder, "./program", EVENTS);
    check(&folder, "./library", EVENTS + 1);
    let mut command = Command::new(folder.path("command"));
    let output = command.env("TRACER", TRACER).current_dir(folder.path("")).output().expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(events(&stdout(&folder.tracer(&["replay", "run.trace"]), 0)).len(), EVENTS);
}

/// Libraries that the loader has watch itself, in a name space of their own.
#[test]
#[ignore = "needs root and eBPF"]
fn libraries_that_watch_the_loader_are_recorded_from_their_start() {
    let _alone = live();
    let folder = Folder::new("launch-audit");
    let source = format!("{LIBRARY} unsigned la_version(unsigned version) {{ return version; }}");
    for name in ["libone.so", "libtwo.so"] {
        compile_c(&folder, name, &source, &["-O2", "-shared", "-fPIC"]);
    }
    let [one, two] = ["libone.so", "libtwo.so"].map(|name| folder.path(name).display().to_string());
    let program = "int main(void) { return 0; }";
    compile_c(&folder, "plain", program, &["-O2"]);
    let depended = format!("-Wl,--depaudit={two}");
    compile_c(&folder, "audited", program, &["-O2", "-Wl,--audit=$ORIGIN/libone.so", &depended]);
    check(&folder, &format!("env LD_AUDIT={one}:{two} ./plain"), 2);
    check(&folder, "./audited", 2);
}

/// What was seen of a program a moment ago says nothing about the libraries of its next process.
#[test]
#[ignore = "needs root and eBPF"]
fn one_program_with_other_libraries_is_looked_at_again() {
    let _alone = live();
    let folder = Folder::new("launch-other");
    user(&folder, &["a", "b", "c"], "/nowhere");
    let command = "for i in a b c; do LD_LIBRARY_PATH=./$i ./user; done";
    folder.write_program("all", format!("#!/bin/sh\n{command}\n").as_bytes());
    check(&folder, "./all", 3 * EVENTS);
}

/// Links in the root of the process lead where they lead it, not where they would lead the recorder.
#[test]
#[ignore = "needs root and eBPF"]
fn libraries_of_a_program_in_another_root_are_found_there() {
    let _alone = live();
    let folder = Folder::new("launch-root");
    user(&folder, &["root/real"], "/opt/lib");
    let root = folder.path("root");
    for place in ["opt/lib", "bin"] {
        std::fs::create_dir_all(root.join(place)).expect("made");
    }
    std::os::unix::fs::symlink("/real/libwork.so", root.join("opt/lib/libwork.so")).expect("linked");
    folder.copy_program(folder.path("user"), "root/bin/user");
    for path in system_libraries(&folder.path("user")) {
        let place = root.join(path.strip_prefix("/").expect("absolute"));
        std::fs::create_dir_all(place.parent().expect("a folder")).expect("made");
        std::fs::copy(&path, place).expect("copied");
    }
    check(&folder, "chroot root /bin/user", EVENTS);
}

/// Libraries of the system that a program maps, and its loader.
fn system_libraries(program: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(program).output().expect("ldd runs");
    let words = String::from_utf8(output.stdout).expect("UTF-8");
    let paths = words.split_whitespace().filter(|word| word.starts_with('/'));
    paths.map(PathBuf::from).filter(|path| path.exists()).collect()
}
