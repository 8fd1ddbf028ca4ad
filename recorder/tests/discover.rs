//! Discovery in running processes: each file once, deleted and private ones too, libraries, filters, second scans.

mod target;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use target::{Folder, compile};
use tracer_format::log::skipped_text;
use tracer_recorder::find::discover::{self, Discovery, Filter, Scan};

/// Says that it runs, then waits until it is killed.
const WAITS: &str = r#"
#include <stdio.h>
#include <sys/sdt.h>
#include <unistd.h>
int main(int argc, char **argv) {
    STAP_PROBE1(PROVIDER, begin, argc);
    puts("running");
    fflush(stdout);
    for (;;) pause();
}
"#;

/// A running process, killed at the end.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "running\n");
        Running(child)
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Compiles the waiting program; the provider has the test's name, so that tests do not find each other's.
fn waiting(folder: &Folder, provider: &str) -> PathBuf {
    compile(folder, &format!("wait-{provider}"), WAITS, &[&format!("-DPROVIDER={provider}")])
}

fn filter(request: &str) -> Filter {
    Filter { requests: vec![request.parse().unwrap()], ..Filter::default() }
}

fn paths(scan: &Scan) -> Vec<&Path> {
    scan.found.iter().map(|found| found.binary.path.as_path()).collect()
}

/// What a scan could not look into, in words.
fn skipped(scan: &Scan) -> Vec<String> {
    scan.skipped.iter().map(skipped_text).collect()
}

#[test]
#[ignore = "needs sys/sdt.h"]
fn a_program_is_found_once_with_all_its_processes() {
    let folder = Folder::new("once");
    let path = waiting(&folder, "t_once");
    let running = [Running::start(&mut Command::new(&path)), Running::start(&mut Command::new(&path))];
    let mut discovery = Discovery::new(filter("t_once:*"));
    let scan = discovery.scan();
    assert_eq!(paths(&scan), [&path]);
    let pids = BTreeSet::from([running[0].pid(), running[1].pid()]);
    assert_eq!((&scan.found[0].pids.iter().copied().collect::<BTreeSet<_>>(), &scan.pids), (&pids, &pids));
    let (binary, facts) = (&scan.found[0].binary, std::fs::metadata(&path).unwrap());
    assert_eq!((binary.dev, binary.ino, binary.program.as_str()), (facts.dev(), facts.ino(), "wait-t_once"));
    assert_eq!(binary.sites.len(), 1);

    let third = Running::start(&mut Command::new(&path));
    let scan = discovery.scan();
    assert!(scan.found.is_empty(), "found once, known for good");
    assert!(scan.pids.contains(&third.pid()) && scan.pids.len() == 3, "its new process is named");
    let scan = discovery.scan_process(third.pid());
    assert_eq!((scan.found.len(), scan.pids), (0, BTreeSet::from([third.pid()])));
}

/// The kernel names the files of small addresses otherwise than it shows these addresses.
#[test]
#[ignore = "needs sys/sdt.h"]
fn a_deleted_program_at_a_fixed_address_is_found_without_a_complaint() {
    let folder = Folder::new("fixed");
    let options = ["-DPROVIDER=t_fixed", "-no-pie"];
    let path = compile(&folder, "wait-t_fixed", WAITS, &options);
    let running = Running::start(&mut Command::new(&path));
    std::fs::remove_file(&path).unwrap();
    let scan = Discovery::new(filter("t_fixed:*")).scan_processes(vec![running.pid()]);
    assert_eq!((paths(&scan), skipped(&scan)), (vec![path.as_path()], vec![]));
}

#[test]
#[ignore = "needs sys/sdt.h"]
fn a_deleted_and_a_replaced_program_are_two_files() {
    let folder = Folder::new("deleted");
    let path = waiting(&folder, "t_deleted");
    let old = Running::start(&mut Command::new(&path));
    let mut discovery = Discovery::new(filter("t_deleted"));
    assert_eq!(discovery.scan().found.len(), 1);
    std::fs::remove_file(&path).unwrap();
    assert!(discovery.scan().found.is_empty(), "deleting changes its status but not what it is");
    let first = Discovery::new(filter("t_deleted")).scan();
    assert_eq!(paths(&first), [&path]);
    assert_eq!(first.found[0].binary.program, "wait-t_deleted");

    waiting(&folder, "t_deleted");
    let new = Running::start(&mut Command::new(&path));
    let scan = discovery.scan();
    assert_eq!((paths(&scan), &scan.found[0].pids), (vec![path.as_path()], &vec![new.pid()]));
    assert_ne!(scan.found[0].binary.ino, first.found[0].binary.ino);
    assert_eq!(scan.pids, BTreeSet::from([old.pid(), new.pid()]));
}

#[test]
#[ignore = "needs sys/sdt.h"]
fn libraries_are_found_where_they_are_mapped() {
    let folder = Folder::new("library");
    let source = "#include <sys/sdt.h>\nvoid work(long n) { STAP_PROBE1(t_library, inside, n); }\n";
    let library = compile(&folder, "libwork.so", source, &["-shared", "-fPIC"]);
    let main = "#include <stdio.h>\n#include <unistd.h>\nvoid work(long);\nint main() { work(1); puts(\"running\"); fflush(stdout); for (;;) pause(); }\n";
    let options = [library.to_str().unwrap(), "-Wl,-rpath,$ORIGIN"];
    let path = compile(&folder, "uses-library", main, &options);

    let mut discovery = Discovery::new(filter("t_library:*"));
    let scan = discovery.command(&[path.clone().into()]).unwrap();
    assert_eq!((paths(&scan), scan.pids.len()), (vec![library.as_path()], 0), "known before it starts");

    let running = Running::start(&mut Command::new(&path));
    let scan = discovery.scan();
    assert_eq!((scan.found.len(), scan.pids), (0, BTreeSet::from([running.pid()])));
    let scan = Discovery::new(filter("t_library:*")).scan();
    assert_eq!((paths(&scan), &scan.found[0].pids), (vec![library.as_path()], &vec![running.pid()]));

    let by_program = |name: &str| Filter { programs: vec![name.parse().unwrap()], ..filter("t_library:*") };
    assert_eq!(
        Discovery::new(by_program("uses-*")).scan().found.len(),
        1,
        "a library counts by the process that maps it"
    );
    assert_eq!(Discovery::new(by_program("libwork.so")).scan().found.len(), 0);

    std::fs::remove_file(&library).unwrap();
    let scan = Discovery::new(filter("t_library:*")).scan();
    assert_eq!(paths(&scan), [&library], "it is still mapped");
}

#[test]
#[ignore = "needs sys/sdt.h"]
fn pids_that_were_not_asked_for_are_left_alone() {
    let folder = Folder::new("pids");
    let path = waiting(&folder, "t_pids");
    let running = [(); 3].map(|()| Running::start(&mut Command::new(&path)));
    let pids = vec![running[2].pid(), running[0].pid()];
    let mut discovery = Discovery::new(Filter { pids: pids.clone(), ..filter("t_pids:*") });
    let scan = discovery.scan();
    assert_eq!((scan.found[0].pids.len(), scan.pids), (2, pids.into_iter().collect()));
    // A process that is named is wanted, whatever the filter.
    assert_eq!(discovery.scan_process(running[1].pid()).pids, [running[1].pid()].into());
    let mut discovery = Discovery::new(Filter { pids: vec![u32::MAX], ..filter("*") });
    let expected = format!("process {}: does not exist, expected the pid of a running process", u32::MAX);
    assert_eq!(skipped(&discovery.scan()), [expected]);
    assert!(discovery.scan().skipped.is_empty(), "told once");
}

#[test]
#[ignore = "needs root and sys/sdt.h"]
fn a_program_in_its_own_mount_namespace_is_found() {
    let folder = Folder::new("namespace");
    let path = waiting(&folder, "t_namespace");
    // The program runs from a path that exists in its own namespace only.
    let script = "mount -t tmpfs none /mnt && cp \"$0\" /mnt/private && exec /mnt/private";
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script]).arg(&path);
    let running = Running::start(&mut command);
    let scan = Discovery::new(filter("t_namespace:*")).scan();
    assert_eq!((paths(&scan), &scan.found[0].pids), (vec![Path::new("/mnt/private")], &vec![running.pid()]));
    assert!(!Path::new("/mnt/private").exists());
}

#[test]
#[ignore = "needs root and sys/sdt.h"]
fn two_containers_of_one_image_are_one_file() {
    let folder = Folder::new("overlay");
    let path = waiting(&folder, "t_overlay");
    // Attaching to both overlays gave every event twice: below both is the same inode.
    let script = "
        mount -t tmpfs none /mnt && cd /mnt && mkdir image && cp \"$0\" image/app && mkdir a b
        for name in a b; do
            mkdir $name/upper $name/work $name/root
            mount -t overlay none -o lowerdir=image,upperdir=$name/upper,workdir=$name/work $name/root || exit 1
        done
        a/root/app > started &
        while ! [ -s started ]; do sleep 0.01; done
        exec b/root/app";
    let unshare = ["-m", "--fork", "--pid", "--kill-child", "sh", "-ec"];
    let _running = Running::start(Command::new("unshare").args(unshare).arg(script).arg(&path));
    let mut discovery = Discovery::new(filter("t_overlay:*"));
    let scan = discovery.scan();
    assert_eq!(
        (paths(&scan).len(), scan.found[0].pids.len(), scan.pids.len()),
        (1, 2, 2),
        "{:?}",
        paths(&scan)
    );
    let again = discovery.scan();
    assert_eq!((again.found.len(), again.pids), (0, scan.pids));
}

#[test]
#[ignore = "needs sys/sdt.h"]
fn a_bad_file_is_reported_once_and_ends_nothing() {
    let folder = Folder::new("bad");
    let good = waiting(&folder, "t_bad");
    // The same program with a note whose length is absurd.
    let mut bytes = std::fs::read(&good).unwrap();
    let note = bytes.windows(8).position(|window| window == b"stapsdt\0").unwrap();
    bytes[note - 8..note - 4].copy_from_slice(&u32::MAX.to_le_bytes());
    // Copied by another process: what this one has open for writing, a child that another test starts meanwhile has open
    // too, and the kernel runs no such file ("text file busy").
    let (draft, bad) = (folder.0.join("draft"), folder.0.join("bad\x1b[2J"));
    std::fs::write(&draft, &bytes).unwrap();
    let status = Command::new("install").arg(&draft).arg(&bad).status().unwrap();
    assert!(status.success(), "install");
    let running = [Running::start(&mut Command::new(&bad)), Running::start(&mut Command::new(&good))];
    let filter = Filter { pids: running.iter().map(Running::pid).collect(), ..filter("t_bad:*") };
    let mut discovery = Discovery::new(filter);
    let scan = discovery.scan();
    assert_eq!(paths(&scan), [&good]);
    let shown = bad.to_str().unwrap().replace('\x1b', "\\x1b");
    assert_eq!(skipped(&scan), [format!("{shown}: note at byte 0 of .note.stapsdt: it is cut off")]);
    assert!(discovery.scan().skipped.is_empty(), "told once");
}

#[test]
#[ignore = "needs sys/sdt.h"]
fn a_file_that_was_written_over_is_read_again() {
    let folder = Folder::new("rewritten");
    let path = waiting(&folder, "t_before");
    let mut discovery = Discovery::new(filter("t_after:*"));
    assert!(discovery.command(&[path.clone().into()]).unwrap().found.is_empty());
    // The same inode, as a compiler that reuses a freed one gives it.
    std::fs::write(&path, std::fs::read(waiting(&folder, "t_after")).unwrap()).unwrap();
    assert_eq!(discovery.command(&[path.clone().into()]).unwrap().found.len(), 1);
}

#[test]
fn a_file_that_the_user_names_must_be_a_program() {
    let message =
        |path: &str| discover::file(Path::new(path), &["*".parse().unwrap()]).unwrap_err().to_string();
    assert_eq!(
        message("/etc/passwd"),
        "/etc/passwd: not an ELF file, expected a program or a shared library"
    );
    assert_eq!(message("/no/such/file"), "cannot read /no/such/file");
    assert_eq!(message("/proc"), "cannot read /proc");
    assert_eq!(message("/dev/zero"), "cannot read /dev/zero", "a device is not opened");
    let message =
        Discovery::new(Filter::default()).command(&["no-such\x1bprogram".into()]).unwrap_err().to_string();
    assert_eq!(message, "command no-such\\x1bprogram: not found in PATH, expected a program that can be run");
}
