//! `tracer open`: serves a trace on loopback, once, to the Perfetto UI in the user's browser.
//!
//! The trace stays on this machine: the UI runs in the browser and fetches it from here. Only pages of the UI's origin may
//! read it, and only under the name of this machine, so that no other site can get at it through the browser.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use tracer_analyzer::picture::perfetto;
use tracer_analyzer::{Outcome, Selection};

use crate::cli::OpenArgs;
use crate::done::Done;
use crate::file::input::Input;
use crate::file::{stages, trace};

/// Bytes of a request's head; browsers send some hundred.
const MAX_HEAD_BYTES: usize = 16 << 10;
/// Lines of a head; browsers send some twenty.
const MAX_HEADERS: usize = 100;
/// How long a browser may take to send one, or to take what it asked for.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn open(args: &OpenArgs) -> anyhow::Result<Done> {
    // What is in the way of serving is told before a long export.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).with_context(|| {
        let port = args.port;
        format!("cannot listen on 127.0.0.1:{port} (is another tracer open or trace_processor at work?)")
    })?;
    let host = listener.local_addr()?.to_string();
    let (packets, outcome) = export(args)?;
    let path = format!("/{}.pftrace", plain_name(&args.file));
    let ui = args.ui.trim_end_matches('/');
    let address = format!("{ui}/#!/?url=http://{host}{path}");
    let served = Arc::new(Served { packets: Mutex::new(packets), path, host, origin: origin(ui) });
    let (fetched, end) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (served, fetched) = (Arc::clone(&served), fetched.clone());
            // Browsers open connections ahead and leave them idle, so none may hold the others up.
            std::thread::spawn(move || serve(&served, &stream, &fetched));
        }
    });
    writeln!(io::stdout(), "{address}")?;
    if !args.no_browser && !start_browser(&address) {
        say!("no browser can be started; open the address above in one");
    }
    say!("waiting for the Perfetto UI to fetch the trace; Ctrl-C to stop");
    end.recv().context("the server ended")?;
    Ok(trace::done(&args.file, &outcome))
}

/// The trace in Perfetto's format, in a file without a name.
fn export(args: &OpenArgs) -> anyhow::Result<(File, Outcome)> {
    let input = Input::open(&args.file)?;
    let trace = trace::open(&input, &args.file)?;
    let selection = Selection::new(&(&args.filter).into(), &trace)?;
    let stages = stages::of(&args.stages, &trace, &selection)?.stages;
    let mut out = BufWriter::with_capacity(1 << 18, tempfile::tempfile()?);
    let outcome = perfetto::export(&trace, &selection, &stages, &mut out)?.outcome;
    Ok((out.into_inner().map_err(io::IntoInnerError::into_error)?, outcome))
}

/// The file's name without its ending, as far as an address can show it as it is.
fn plain_name(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let plain =
        |letter: char| if letter.is_ascii_alphanumeric() || "-_.".contains(letter) { letter } else { '_' };
    let name: String = stem.chars().map(plain).collect();
    if name.trim_matches(['-', '.', '_']).is_empty() { "trace".to_owned() } else { name }
}

/// Scheme and host of an address, as browsers send it.
fn origin(address: &str) -> String {
    let host = address.find("://").map_or(0, |at| at + 3);
    let end = address[host..].find('/').map_or(address.len(), |at| host + at);
    address[..end].to_owned()
}

/// Starts the user's browser; false if there is none.
fn start_browser(address: &str) -> bool {
    let launcher = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = Command::new(launcher);
    command.arg(address).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().is_ok()
}

/// What is served, and to whom.
struct Served {
    packets: Mutex<File>,
    /// Path in the address.
    path: String,
    /// Address and port, as a browser names them in its request.
    host: String,
    /// Pages that may read it.
    origin: String,
}

/// Answers one request. The browser may go away at any time and come again.
fn serve(served: &Served, stream: &TcpStream, fetched: &Sender<()>) {
    let answer = || -> io::Result<bool> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let request = Request::read(stream)?;
        served.answer(&request, stream)
    };
    if answer().is_ok_and(|sent_all| sent_all) {
        // The receiver is gone if it was fetched twice.
        let _ = fetched.send(());
    }
}

/// What a browser asks for.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    method: String,
    path: String,
    host: Option<String>,
}

impl Request {
    /// Reads the head of a request.
    ///
    /// # Errors
    /// If it is none, or too long.
    fn read(mut stream: impl Read) -> io::Result<Self> {
        let (mut head, mut bytes) = (Vec::new(), [0; 1024]);
        loop {
            let count = stream.read(&mut bytes)?;
            head.extend_from_slice(&bytes[..count]);
            if let Some(request) = Self::parse(&head)? {
                return Ok(request);
            }
            if count == 0 || head.len() > MAX_HEAD_BYTES {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
    }

    /// `None` if the head does not end yet.
    fn parse(head: &[u8]) -> io::Result<Option<Self>> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        if request.parse(head).map_err(io::Error::other)?.is_partial() {
            return Ok(None);
        }
        let host = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("host"));
        Ok(Some(Self {
            method: request.method.unwrap_or_default().to_owned(),
            path: request.path.unwrap_or_default().to_owned(),
            host: host.map(|header| String::from_utf8_lossy(header.value).into_owned()),
        }))
    }
}

impl Served {
    /// Answers; true if that was the whole trace.
    fn answer(&self, request: &Request, mut stream: impl Write) -> io::Result<bool> {
        let status = match request.method.as_str() {
            // A page whose name was made to mean this machine sends its own name.
            _ if request.host.as_ref() != Some(&self.host) => "403 Forbidden",
            "OPTIONS" => "204 No Content",
            "GET" if request.path == self.path => "200 OK",
            "GET" => "404 Not Found",
            _ => "405 Method Not Allowed",
        };
        let mut packets = self.packets.lock().unwrap_or_else(PoisonError::into_inner);
        let length = if status == "200 OK" { packets.seek(io::SeekFrom::End(0))? } else { 0 };
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nContent-Type: application/octet-stream\r\n\
             Access-Control-Allow-Origin: {}\r\nAccess-Control-Allow-Private-Network: true\r\n\
             Cache-Control: no-store\r\nConnection: close\r\n\r\n",
            self.origin
        )?;
        if status == "200 OK" {
            packets.rewind()?;
            io::copy(&mut *packets, &mut stream)?;
        }
        stream.flush()?;
        Ok(status == "200 OK")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_plain() {
        for (path, expected) in
            [("/a/run 1.trace", "run_1"), ("run.trace", "run"), ("-", "trace"), ("ü&?.trace", "trace")]
        {
            assert_eq!(plain_name(Path::new(path)), expected, "{path}");
        }
    }

    #[test]
    fn an_origin_is_scheme_and_host() {
        assert_eq!(origin("https://ui.perfetto.dev"), "https://ui.perfetto.dev");
        assert_eq!(origin("http://localhost:10000/perfetto/v52"), "http://localhost:10000");
    }

    #[test]
    fn a_request_is_read_to_the_end_of_its_head() {
        let head = b"GET /run.pftrace HTTP/1.1\r\nhost: here:1\r\n\r\n";
        assert_eq!(Request::parse(&head[..head.len() - 1]).expect("sound"), None);
        let request = Request::read(&head[..]).expect("sound");
        assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/run.pftrace"));
        assert_eq!(request.host.as_deref(), Some("here:1"));
        let endless = [b"GET / HTTP/1.1\r\nx: ".to_vec(), vec![b'y'; 1 << 20]].concat();
        for bytes in [&head[..20], b"\0\r\n\r\n", b"hello\r\n\r\n", &endless] {
            assert!(Request::read(bytes).is_err());
        }
    }

    #[test]
    fn only_the_trace_is_served_and_only_under_its_own_host() {
        let mut packets = tempfile::tempfile().expect("made");
        packets.write_all(b"[]").expect("written");
        let served = Served {
            packets: Mutex::new(packets),
            path: "/run.pftrace".into(),
            host: "127.0.0.1:9001".into(),
            origin: "https://ui.perfetto.dev".into(),
        };
        for (request, host, status, sent_all) in [
            ("GET /run.pftrace HTTP/1.1", "127.0.0.1:9001", "200 OK", true),
            ("GET /run.pftrace HTTP/1.1", "evil.example:9001", "403 Forbidden", false),
            ("GET /etc/passwd HTTP/1.1", "127.0.0.1:9001", "404 Not Found", false),
            ("OPTIONS /run.pftrace HTTP/1.1", "127.0.0.1:9001", "204 No Content", false),
            ("POST /run.pftrace HTTP/1.1", "127.0.0.1:9001", "405 Method Not Allowed", false),
        ] {
            let mut answer = Vec::new();
            let head = format!("{request}\r\nHOST: {host}\r\nAccept: */*\r\n\r\n");
            let parsed = Request::parse(head.as_bytes()).expect("sound").expect("whole");
            assert_eq!(served.answer(&parsed, &mut answer).expect("written"), sent_all, "{request}");
            let answer = String::from_utf8(answer).expect("UTF-8");
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{request}: {answer}");
            assert!(
                answer.contains("\r\nAccess-Control-Allow-Origin: https://ui.perfetto.dev\r\n"),
                "{answer}"
            );
            assert_eq!(answer.ends_with("\r\n\r\n[]"), sent_all, "{answer}");
        }
    }
}
