//! `tracer open`: serves a trace on loopback, once, to the Perfetto UI in the user's browser.
//!
//! The trace stays on this machine: the UI runs in the browser and fetches it from here. It is given only to processes of the
//! same user, only at an address that cannot be guessed, and, if a browser asks, only to a page of the UI that names this
//! machine by its own name: no other user and no other site gets it, or uses the one fetch up.

mod peer;
mod request;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use rustix::net::sockopt::set_socket_linger;
use tracer_analyzer::Selection;
use tracer_analyzer::picture::perfetto;
use tracer_analyzer::stage::choice::Chosen;

use crate::cli::OpenArgs;
use crate::done::Done;
use crate::file::input::Input;
use crate::file::{secret, stages, trace};
use request::Request;

/// How long a browser may take to send a request, or to take the next bytes of what it asked for.
const PATIENCE: Duration = Duration::from_secs(30);
/// Connections served side by side; a browser opens a few ahead.
const MAX_CONNECTIONS: usize = 32;
/// Connections that wait to be looked at; the kernel may take fewer (`net.core.somaxconn`).
const MAX_WAITING: i32 = 4096;

pub(crate) fn open(args: &OpenArgs) -> anyhow::Result<Done> {
    // What is in the way of serving is told before a long export.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).with_context(|| {
        let port = args.port;
        format!("cannot listen on 127.0.0.1:{port} (is another tracer open or trace_processor at work?)")
    })?;
    // Longer than the library makes it: other users may knock as often as they like.
    rustix::net::listen(&listener, MAX_WAITING)?;
    let host = listener.local_addr()?.to_string();
    let secret = secret::random().map(u128::from_ne_bytes).context("cannot read /dev/urandom")?;
    let (packets, done) = export(args)?;
    let path = format!("/{secret:032x}/{}.pftrace", plain_name(&args.file));
    let ui = args.ui.trim_end_matches('/');
    let address = format!("{ui}/#!/?url=http://{host}{path}");
    let served = Arc::new(Served { packets: Mutex::new(Some(packets)), path, host, origin: origin(ui) });
    let (fetched, end) = channel();
    std::thread::spawn(move || accept(&listener, &served, &fetched));
    writeln!(io::stdout(), "{address}")?;
    if !args.no_browser && !start_browser(&address) {
        say!("no browser can be started; open the address above in one");
    }
    say!("waiting for the Perfetto UI to fetch the trace; Ctrl-C to stop");
    end.recv().context("the server ended")?;
    Ok(done)
}

/// Serves each connection on a thread of its own: browsers open some ahead and leave them idle, so none may hold the others
/// up.
fn accept(listener: &TcpListener, served: &Arc<Served>, fetched: &Sender<()>) {
    let open = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming().flatten() {
        if !peer::is_permitted(&stream) {
            // Closed without waiting for the other end: nothing of it stays behind.
            let _ = set_socket_linger(&stream, Some(Duration::ZERO));
            continue;
        }
        if open.load(Ordering::Relaxed) >= MAX_CONNECTIONS {
            continue;
        }
        open.fetch_add(1, Ordering::Relaxed);
        let (served, fetched, open) = (Arc::clone(served), fetched.clone(), Arc::clone(&open));
        std::thread::spawn(move || {
            serve(&served, &stream, &fetched);
            open.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

/// The trace in Perfetto's format, in a file without a name; and what is missing in it, which is said.
fn export(args: &OpenArgs) -> anyhow::Result<(File, Done)> {
    let input = Input::open(&args.file)?;
    let trace = trace::open(&input, &args.file)?;
    let selection = Selection::new(&(&args.filter).into(), &trace).map_err(trace::about(&args.file))?;
    let Chosen { stages, refused, .. } = stages::of(&args.stages, &args.file, &trace, &selection)?;
    let mut out = BufWriter::with_capacity(1 << 18, tempfile::tempfile()?);
    let outcome = perfetto::export(&trace, &selection, &stages, args.drawn.drawn(), &mut out)?;
    let done = trace::done(&args.file, &outcome).and(trace::refused(&args.file, &refused));
    Ok((out.into_inner().map_err(io::IntoInnerError::into_error)?, done))
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
    /// The trace, until it is given out.
    packets: Mutex<Option<File>>,
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
        // The receiver is gone if the process is about to end.
        let _ = fetched.send(());
    }
}

impl Served {
    /// Answers; true if that was the whole trace.
    fn answer(&self, request: &Request, stream: impl Write) -> io::Result<bool> {
        let status = match request.method.as_str() {
            _ if !self.may_ask(request) => "403 Forbidden",
            "OPTIONS" => "204 No Content",
            "GET" if request.path == self.path => return self.give(stream),
            "GET" => "404 Not Found",
            _ => "405 Method Not Allowed",
        };
        self.head(stream, status, 0)?;
        Ok(false)
    }

    /// Whether a request comes from a page of the UI, or from no page. A site whose name was made to mean this machine sends
    /// its own name as the host. A browser says with `Sec-Fetch-Site` that it is one, and with `Origin` whose script may read
    /// the answer.
    fn may_ask(&self, request: &Request) -> bool {
        let is_browser = request.fetch_site.is_some();
        !request.is_ambiguous
            && request.host.as_ref() == Some(&self.host)
            && request.origin.as_ref().map_or(!is_browser, |origin| *origin == self.origin)
    }

    /// Gives the trace out, once; if it does not arrive, it can be asked for again. True if it was sent to its end.
    fn give(&self, mut stream: impl Write) -> io::Result<bool> {
        let Some(packets) = self.lock().take() else {
            self.head(stream, "410 Gone", 0)?;
            return Ok(false);
        };
        let sent = packets.metadata().and_then(|facts| {
            self.head(&mut stream, "200 OK", facts.len())?;
            copy(&packets, &mut stream)
        });
        if sent.is_err() {
            *self.lock() = Some(packets);
        }
        sent.map(|()| true)
    }

    fn head(&self, mut stream: impl Write, status: &str, length: u64) -> io::Result<()> {
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nContent-Type: application/octet-stream\r\n\
             Access-Control-Allow-Origin: {}\r\nAccess-Control-Allow-Private-Network: true\r\n\
             Cache-Control: no-store\r\nConnection: close\r\n\r\n",
            self.origin
        )?;
        stream.flush()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<File>> {
        self.packets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Copies a file from its begin, wherever it is read elsewhere.
fn copy(file: &File, mut to: impl Write) -> io::Result<()> {
    let (mut at, mut bytes) = (0, vec![0; 1 << 18]);
    loop {
        let count = file.read_at(&mut bytes, at)?;
        if count == 0 {
            return to.flush();
        }
        to.write_all(&bytes[..count])?;
        at += count as u64;
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

    fn served() -> Served {
        let mut packets = tempfile::tempfile().expect("made");
        packets.write_all(b"[]").expect("written");
        Served {
            packets: Mutex::new(Some(packets)),
            path: "/5ec4e7/run.pftrace".into(),
            host: "127.0.0.1:9001".into(),
            origin: "https://ui.perfetto.dev".into(),
        }
    }

    fn answer(served: &Served, head: &str) -> (String, bool) {
        let mut bytes = Vec::new();
        let request = Request::parse(format!("{head}\r\n\r\n").as_bytes()).expect("sound").expect("whole");
        let sent_all = served.answer(&request, &mut bytes).expect("written");
        (String::from_utf8(bytes).expect("UTF-8"), sent_all)
    }

    #[test]
    fn the_trace_is_given_once_and_nothing_that_is_refused_uses_it_up() {
        let served = served();
        const HOST: &str = "\r\nHost: 127.0.0.1:9001";
        const UI: &str = "\r\nOrigin: https://ui.perfetto.dev\r\nSec-Fetch-Site: cross-site";
        for (head, status) in [
            ("GET /5ec4e7/run.pftrace HTTP/1.1\r\nHost: evil.example:9001".to_owned(), "403 Forbidden"),
            ("GET /5ec4e7/run.pftrace HTTP/1.1".to_owned(), "403 Forbidden"),
            (
                format!("GET /5ec4e7/run.pftrace HTTP/1.1{HOST}\r\nOrigin: https://evil.example"),
                "403 Forbidden",
            ),
            (format!("GET /5ec4e7/run.pftrace HTTP/1.1{HOST}\r\nOrigin: null"), "403 Forbidden"),
            (
                format!("GET /5ec4e7/run.pftrace HTTP/1.1{HOST}{UI}\r\nOrigin: https://evil.example"),
                "403 Forbidden",
            ),
            (format!("GET /5ec4e7/run.pftrace HTTP/1.1{HOST}{UI}\r\nHost: evil.example"), "403 Forbidden"),
            (
                format!("GET /5ec4e7/run.pftrace HTTP/1.1{HOST}\r\nSec-Fetch-Site: cross-site"),
                "403 Forbidden",
            ),
            (format!("GET /run.pftrace HTTP/1.1{HOST}{UI}"), "404 Not Found"),
            (format!("GET /5ec4e8/run.pftrace HTTP/1.1{HOST}{UI}"), "404 Not Found"),
            (format!("OPTIONS /5ec4e7/run.pftrace HTTP/1.1{HOST}{UI}"), "204 No Content"),
            (format!("POST /5ec4e7/run.pftrace HTTP/1.1{HOST}{UI}"), "405 Method Not Allowed"),
            (format!("GET /5ec4e7/run.pftrace HTTP/1.1{HOST}{UI}"), "200 OK"),
            (format!("GET /5ec4e7/run.pftrace HTTP/1.1{HOST}{UI}"), "410 Gone"),
        ] {
            let (answer, sent_all) = answer(&served, &head);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{head}: {answer}");
            let allowed = "\r\nAccess-Control-Allow-Origin: https://ui.perfetto.dev\r\n";
            assert!(answer.contains(allowed), "{answer}");
            assert_eq!(sent_all, status == "200 OK", "{head}");
            assert_eq!(answer.ends_with("\r\n\r\n[]"), sent_all, "{answer}");
        }
    }

    #[test]
    fn what_did_not_arrive_is_given_again() {
        struct GoesAway(usize);
        impl Write for GoesAway {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 = self.0.checked_sub(1).ok_or(io::ErrorKind::BrokenPipe)?;
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let served = served();
        assert!(served.give(GoesAway(3)).is_err());
        let (answer, sent_all) = answer(&served, "GET /5ec4e7/run.pftrace HTTP/1.1\r\nHost: 127.0.0.1:9001");
        assert!(sent_all, "{answer}");
    }
}
