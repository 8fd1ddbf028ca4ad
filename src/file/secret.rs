//! Secrets: bytes that nobody else knows.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::Context;

use super::input::{self, name};

/// With fewer bytes it could be guessed.
const MIN_BYTES: usize = 16;
/// More than these are no secret but some other file.
const MAX_BYTES: usize = 1 << 16;

/// Random bytes.
///
/// # Errors
/// If the system has none.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// The bytes of a file.
///
/// # Errors
/// If it cannot be read, or is too short or too long; the text names it.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let name = name(path);
    let mut bytes = Vec::new();
    let file = input::open(path).with_context(|| format!("cannot open {name}"))?;
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).with_context(|| name.clone())?;
    let len = bytes.len();
    anyhow::ensure!(len >= MIN_BYTES, "{name}: {len} bytes, a secret has at least {MIN_BYTES}");
    anyhow::ensure!(len <= MAX_BYTES, "{name}: more than {MAX_BYTES} bytes, which is no secret");
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_alike() {
        assert_ne!(random::<16>().expect("read"), random::<16>().expect("read"));
    }
}
