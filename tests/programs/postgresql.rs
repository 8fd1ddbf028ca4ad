//! PostgreSQL under pgbench: what `analyze` says of each stage is what its exported events say, thread by thread.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::tool::{Folder, Recording, live, stdout};

/// Transactions that pgbench makes: so many for each of its clients.
const TRANSACTIONS: u64 = 60;
const CLIENTS: u64 = 4;

/// A PostgreSQL server of its own, in a folder, reached through a socket there.
struct Server {
    programs: PathBuf,
    folder: PathBuf,
    user: (u32, u32),
}

impl Server {
    /// Starts a server with the tables of pgbench.
    fn start(programs: PathBuf, folder: &Folder) -> Self {
        let id = |of: &str| -> u32 {
            let output = Command::new("id").args([of, "postgres"]).output().expect("id runs");
            String::from_utf8_lossy(&output.stdout).trim().parse().expect("the user postgres")
        };
        let folder = folder.path("server");
        std::fs::create_dir(&folder).expect("a folder");
        let server = Self { programs, folder, user: (id("-u"), id("-g")) };
        std::os::unix::fs::chown(&server.folder, Some(server.user.0), Some(server.user.1))
            .expect("given away");
        server.run("initdb", &["-A", "trust", "-D", "data"]);
        let options = format!("-c listen_addresses= -k {}", server.folder.display());
        server.run("pg_ctl", &["-D", "data", "-o", &options, "-l", "log", "-w", "start"]);
        server.run("pgbench", &["-i", "-q", "-h", &server.host(), "postgres"]);
        server
    }

    fn host(&self) -> String {
        self.folder.display().to_string()
    }

    /// Runs one of PostgreSQL's programs; gives what it prints.
    fn run(&self, program: &str, args: &[&str]) -> String {
        let output = self.folder.join(format!("{program}.out"));
        // The server keeps what it inherits: with a pipe, this would wait for its end.
        let file = std::fs::File::create(&output).expect("created");
        let mut command = Command::new(self.programs.join(program));
        command.args(args).current_dir(&self.folder).uid(self.user.0).gid(self.user.1);
        command.stdin(Stdio::null()).stderr(file.try_clone().expect("cloned")).stdout(file);
        let status = command.status().expect("it runs");
        let printed = std::fs::read_to_string(output).expect("read");
        assert!(status.success(), "{program}: {printed}");
        printed
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut command = Command::new(self.programs.join("pg_ctl"));
        command.args(["-D", "data", "-m", "immediate", "-w", "stop"]).current_dir(&self.folder);
        let _ =
            command.uid(self.user.0).gid(self.user.1).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// The folder with PostgreSQL 15's programs.
fn programs() -> PathBuf {
    let programs = Path::new("/usr/lib/postgresql/15/bin");
    assert!(programs.join("pgbench").exists(), "needs the package postgresql-15");
    programs.to_owned()
}

/// Events of one thread in the order of time: probe names.
type Threads = BTreeMap<String, Vec<String>>;

/// The exported events, thread by thread.
fn threads(folder: &Folder) -> Threads {
    stdout(&folder.tracer(&["export", "run.trace", "-o", "events.csv"]), 0);
    let table = std::fs::read_to_string(folder.path("events.csv")).expect("read");
    let mut lines = table.lines();
    let head: Vec<&str> = lines.next().expect("a head").split(',').collect();
    let column = |name: &str| head.iter().position(|&it| it == name).expect("a column");
    let (tid, provider, probe) = (column("tid"), column("provider"), column("probe"));
    let mut threads = Threads::new();
    for cells in lines.map(|line| line.split(',').collect::<Vec<_>>()) {
        if cells[provider] == "postgresql" {
            threads.entry(cells[tid].to_owned()).or_default().push(cells[probe].to_owned());
        }
    }
    threads
}

/// Spans of a stage, as a stack for each thread gives them.
fn spans(threads: &Threads, begin: &str, ends: &[&str]) -> u64 {
    let of_thread = |events: &Vec<String>| {
        let (mut open, mut spans) = (0_u64, 0);
        for probe in events {
            if probe == begin {
                open += 1;
            } else if ends.contains(&&probe[..]) && open > 0 {
                (open, spans) = (open - 1, spans + 1);
            }
        }
        spans
    };
    threads.values().map(of_thread).sum()
}

#[test]
#[ignore = "needs root, eBPF and PostgreSQL 15"]
fn the_stages_of_postgresql_are_what_its_threads_did() {
    let _alone = live();
    let folder = Folder::new("postgresql");
    let server = Server::start(programs(), &folder);
    let args = ["-o", "run.trace", "-e", "postgresql:query*", "-e", "postgresql:transaction*"];
    let recording = Recording::start(&folder, &args);
    let (clients, each) = (CLIENTS.to_string(), TRANSACTIONS.to_string());
    let printed =
        server.run("pgbench", &["-n", "-c", &clients, "-t", &each, "-h", &server.host(), "postgres"]);
    assert!(printed.contains("number of failed transactions: 0 "), "{printed}");
    let output = recording.stop();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let threads = threads(&folder);
    let report = stdout(&folder.tracer(&["analyze", "--format", "json", "run.trace"]), 0);
    let document: Value = serde_json::from_str(&report).expect("JSON");
    let stages: HashMap<&str, &Value> = document["stages"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|stage| (stage["name"].as_str().expect("a name"), stage))
        .collect();
    let query = |name: &str| {
        let stage = format!("query{name}");
        (stage.clone(), format!("{stage}__start"), vec![format!("{stage}__done")])
    };
    let mut expected: Vec<(String, String, Vec<String>)> =
        ["", "__parse", "__rewrite", "__plan", "__execute"].map(query).into();
    let ends = ["transaction__commit", "transaction__abort"].map(str::to_owned).into();
    expected.push(("transaction".to_owned(), "transaction__start".to_owned(), ends));
    for (name, begin, ends) in &expected {
        let stage = stages[&name[..]];
        let ends: Vec<&str> = ends.iter().map(String::as_str).collect();
        let spans = spans(&threads, begin, &ends);
        assert!(spans >= TRANSACTIONS * CLIENTS, "{name}: {spans} spans");
        assert_eq!((stage["key"].as_str(), stage["complete"].as_u64()), (Some("tid"), Some(spans)), "{name}");
    }
    // Each transaction of pgbench is committed; its connections make a few more.
    let commits = stages["transaction"]["ends"]["transaction__commit"].as_u64().expect("a count");
    assert!((TRANSACTIONS * CLIENTS..=TRANSACTIONS * CLIENTS + 40).contains(&commits), "{commits}");
    assert!(stages["query__execute"]["nested"].as_bool() == Some(true), "a query executes within another's");
}
