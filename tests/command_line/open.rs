//! `tracer open` as a process: what a browser fetches from it, and that it ends then.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::tool::{Folder, stderr, stdout};

const LOG: &str = "\
[            1000] [PID:     17] worker       demo:beg_work                  | Seq: 1
[            2500] [PID:     17] worker       demo:end_work                  | Seq: 1
";

pub(crate) const UI: &str = "https://ui.perfetto.dev";

/// Starts `tracer open` on a free port and gives the address that it prints.
fn start(folder: &Folder, args: &[&str]) -> (Child, String) {
    folder.write("log", LOG);
    stdout(&folder.tracer(&["import", "log", "-o", "my run.trace", "--force"]), 0);
    let args = [&["open", "--no-browser", "--port", "0", "my run.trace"], args].concat();
    let mut command = folder.command(&args);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("tracer runs");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    (child, line.trim_end().to_owned())
}

/// Host and path of the trace in an address that `tracer open` printed.
pub(crate) fn place<'a>(address: &'a str, ui: &str) -> (&'a str, &'a str) {
    let url = address
        .strip_prefix(ui)
        .and_then(|rest| rest.strip_prefix("/#!/?url=http://"))
        .expect("the UI's address");
    url.split_at(url.find('/').expect("a path"))
}

/// Head and body of the answer to a request for `path` at `host`, of a page of another site if one is given.
pub(crate) fn get(host: &str, path: &str, origin: Option<&str>) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(host).expect("connected");
    let origin = origin.map(|origin| format!("Origin: {origin}\r\nSec-Fetch-Site: cross-site\r\n"));
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\n{}\r\n", origin.unwrap_or_default())
        .expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("read");
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head") + 4;
    let body = answer.split_off(end);
    (String::from_utf8(answer).expect("UTF-8"), body)
}

#[test]
fn the_trace_is_served_once_to_the_ui() {
    let folder = Folder::new("open");
    let (child, address) = start(&folder, &[]);
    let (host, path) = place(&address, UI);
    let (secret, name) = path[1..].split_once('/').expect("a secret and a name");
    assert_eq!((secret.len(), name), (32, "my_run.pftrace"));
    // Browsers connect ahead of a request, and look for other things.
    let idle = TcpStream::connect(host).expect("connected");
    assert!(get(host, "/favicon.ico", Some(UI)).0.starts_with("HTTP/1.1 404"));
    assert!(get(host, "/my_run.pftrace", Some(UI)).0.starts_with("HTTP/1.1 404"));
    assert!(get(host, path, Some("https://evil.example")).0.starts_with("HTTP/1.1 403"));
    let (head, body) = get(host, path, Some(UI));
    assert!(head.contains(&format!("Access-Control-Allow-Origin: {UI}\r\n")), "{head}");
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    stdout(&folder.tracer(&["export", "my run.trace", "-o", "run.pftrace"]), 0);
    assert_eq!(body, std::fs::read(folder.path("run.pftrace")).expect("there"));
    let output = child.wait_with_output().expect("ended");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    drop(idle);
}

#[test]
fn another_ui_is_another_origin() {
    let folder = Folder::new("open-ui");
    let (child, address) = start(&folder, &["--ui", "http://perfetto.example:8080/ui/"]);
    let (host, path) = place(&address, "http://perfetto.example:8080/ui");
    let (head, _) = get(host, path, None);
    assert!(head.contains("Access-Control-Allow-Origin: http://perfetto.example:8080\r\n"), "{head}");
    assert_eq!(child.wait_with_output().expect("ended").status.code(), Some(0));
}

/// The one fetch is left for the user's own browser.
#[test]
#[ignore = "needs root, to become another user"]
fn another_user_gets_nothing_even_with_the_address() {
    let folder = Folder::new("open-user");
    let (child, address) = start(&folder, &[]);
    let (host, path) = place(&address, UI);
    let tcp = host.replace(':', "/");
    let script = format!(
        "exec 3<>/dev/tcp/{tcp} && printf 'GET {path} HTTP/1.1\\r\\nHost: {host}\\r\\n\\r\\n' >&3 && cat <&3"
    );
    let mut shell = Command::new("bash");
    let stranger =
        shell.args(["-c", &script]).env_remove("SUDO_UID").uid(65534).gid(65534).current_dir("/").output();
    assert_eq!(String::from_utf8_lossy(&stranger.expect("bash runs").stdout), "");
    assert!(get(host, path, Some(UI)).0.starts_with("HTTP/1.1 200"));
    assert_eq!(child.wait_with_output().expect("ended").status.code(), Some(0));
}

/// Thousands of connections of another user, each of which the kernel lists: to look through that list for each kept the owner
/// out for a minute.
#[test]
#[ignore = "needs root, to become another user"]
fn another_user_that_knocks_without_end_keeps_nobody_out() {
    const KNOCK: &str = "use Socket; my ($place, @open) = pack_sockaddr_in($ARGV[0], INADDR_LOOPBACK); \
        while (1) { socket(my $socket, PF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0) or next; connect($socket, $place); \
        push @open, $socket; shift @open if @open > 900 }";
    let folder = Folder::new("open-flood");
    let (child, address) = start(&folder, &[]);
    let (host, path) = place(&address, UI);
    let port = host.split_once(':').expect("a port").1;
    let mut knocking = Vec::new();
    for _ in 0..3 {
        let mut perl = Command::new("perl");
        perl.args(["-e", KNOCK, port]).env_remove("SUDO_UID").uid(65534).gid(65534).current_dir("/");
        knocking.push(Ended(perl.spawn().expect("perl runs")));
    }
    // Until there are many.
    let has_many =
        || std::fs::read_to_string("/proc/net/tcp").is_ok_and(|list| list.matches("\n").count() > 500);
    while !has_many() {
        std::thread::sleep(Duration::from_millis(10));
    }
    for _ in 0..20 {
        assert!(get(host, "/favicon.ico", Some(UI)).0.starts_with("HTTP/1.1 404"));
    }
    assert!(get(host, path, Some(UI)).0.starts_with("HTTP/1.1 200"));
    assert_eq!(child.wait_with_output().expect("ended").status.code(), Some(0));
    drop(knocking);
}

/// A process that ends with the test, whatever becomes of that.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_port_that_is_taken_is_said() {
    let folder = Folder::new("open-port");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = taken.local_addr().expect("bound").port().to_string();
    let output = folder.tracer(&["open", "--no-browser", "--port", &port, "x.trace"]);
    assert_eq!(output.status.code(), Some(1));
    let expected = format!("tracer: cannot listen on 127.0.0.1:{port} (is another tracer open or");
    assert!(stderr(&output).starts_with(&expected), "{}", stderr(&output));
}
