//! The head of an HTTP request: method, path, and what a browser says about the page that asks.

use std::io::{self, Read};

/// Bytes of a request's head; browsers send some hundred.
const MAX_HEAD_BYTES: usize = 16 << 10;
/// Lines of a head; browsers send some twenty.
const MAX_HEADERS: usize = 100;

/// What a client asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) host: Option<String>,
    /// The page whose script asks.
    pub(super) origin: Option<String>,
    /// How the page's site relates to this one; every browser says so, other clients do not.
    pub(super) fetch_site: Option<String>,
    /// It says one of these twice.
    pub(super) is_ambiguous: bool,
}

impl Request {
    /// Reads the head of a request.
    ///
    /// # Errors
    /// If it is none, or too long.
    pub(super) fn read(mut stream: impl Read) -> io::Result<Self> {
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
    pub(super) fn parse(head: &[u8]) -> io::Result<Option<Self>> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        if request.parse(head).map_err(io::Error::other)?.is_partial() {
            return Ok(None);
        }
        let mut is_ambiguous = false;
        let mut header = |name: &str| {
            let mut values = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
            let value = values.next().map(|header| String::from_utf8_lossy(header.value).into_owned());
            is_ambiguous |= values.next().is_some();
            value
        };
        Ok(Some(Self {
            host: header("host"),
            origin: header("origin"),
            fetch_site: header("sec-fetch-site"),
            method: request.method.unwrap_or_default().to_owned(),
            path: request.path.unwrap_or_default().to_owned(),
            is_ambiguous,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_to_the_end_of_its_head() {
        let head = b"GET /run.pftrace HTTP/1.1\r\nhost: here:1\r\n\r\n";
        assert_eq!(Request::parse(&head[..head.len() - 1]).expect("sound"), None);
        let request = Request::read(&head[..]).expect("sound");
        assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/run.pftrace"));
        assert_eq!(request.host.as_deref(), Some("here:1"));
        assert_eq!((request.origin, request.fetch_site), (None, None));
        let endless = [b"GET / HTTP/1.1\r\nx: ".to_vec(), vec![b'y'; 1 << 20]].concat();
        for bytes in [&head[..20], b"\0\r\n\r\n", b"hello\r\n\r\n", &endless] {
            assert!(Request::read(bytes).is_err());
        }
    }
}
