//! Processors that programs are made for.

use crate::error::{Error, Result};

/// A processor whose argument specs can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// AMD64.
    X86_64,
    /// ARM64.
    Aarch64,
}

/// Refuses to record on a processor whose registers the BPF program does not know: arguments would be wrong.
///
/// # Errors
/// [`Error::Request`] on all but x86-64, as [`std::env::consts::ARCH`] calls it.
pub(crate) fn refuse_untried(architecture: &str) -> Result<()> {
    if architecture == "x86_64" {
        return Ok(());
    }
    Err(Error::Request(format!(
        "cannot record on {architecture}: the BPF program reads the registers of x86-64 only; record there, reading a \
         trace works everywhere"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_x86_64_records() {
        assert!(refuse_untried("x86_64").is_ok());
        let error = refuse_untried("aarch64").unwrap_err().to_string();
        assert!(error.starts_with("cannot record on aarch64: "), "{error}");
    }
}
