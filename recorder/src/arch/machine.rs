//! Processors that programs are made for.

/// A processor whose argument specs can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// AMD64.
    X86_64,
    /// ARM64.
    Aarch64,
}
