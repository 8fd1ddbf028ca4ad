//! The instruction at a site, and what it means for attaching there.
//!
//! `sys/sdt.h` puts one one-byte nop at a site; newer libraries put five- or ten-byte ones there for the kernel's
//! optimized uprobes, alone or behind a one-byte nop.

use std::fmt;

/// Bytes of a site that [`classify`] looks at.
pub const NOP_BYTES: usize = 11;

const NOP: &[u8] = &[0x90];
const NOP5: &[u8] = &[0x0f, 0x1f, 0x44, 0x00, 0x00];
const NOP10: &[u8] = &[0x66, 0x2e, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00];
/// The only nop of aarch64, little-endian.
const NOP_AARCH64: &[u8] = &[0x1f, 0x20, 0x03, 0xd5];

/// Form of the instruction at a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NopForm {
    /// One-byte nop, or the nop of aarch64.
    Nop,
    /// Five-byte nop.
    Nop5,
    /// Ten-byte nop.
    Nop10,
    /// One-byte nop, then a five-byte one.
    NopNop5,
    /// One-byte nop, then a ten-byte one.
    NopNop10,
    /// Anything else; the kernel single-steps it.
    Other,
}

/// Why attaching at a site is not safe or not useful.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Hazard {
    /// The kernel's optimized uprobe overwrites the 128 bytes below the stack pointer, which belong to the program:
    /// the traced program computes wrong results and the arguments read are wrong. Never attach.
    #[error("the probe's five-byte nop makes this kernel overwrite the traced program's stack")]
    RedZone,
    /// The kernel cannot put a breakpoint on its prefix bytes: it never fires, and where a process maps the file already
    /// the kernel refuses it, and with it all sites that are attached together. Never attach.
    #[error("the kernel cannot attach to the probe's ten-byte nop")]
    NeverFires,
}

impl Hazard {
    /// Whether kernel `major.minor` has it.
    ///
    /// The optimized uprobe for five-byte nops came with 6.18 and is dangerous since; before, such a nop is an
    /// ordinary breakpoint. Which later releases are cured was not established, so none is trusted.
    #[must_use]
    pub fn applies_to(self, major: u32, minor: u32) -> bool {
        match self {
            Hazard::RedZone => (major, minor) >= (6, 18),
            Hazard::NeverFires => true,
        }
    }
}

/// Form of the instruction that `code` begins with; up to [`NOP_BYTES`] bytes count.
#[must_use]
pub fn classify(code: &[u8]) -> NopForm {
    if code.starts_with(NOP_AARCH64) {
        return NopForm::Nop;
    }
    match code.strip_prefix(NOP) {
        Some(next) if next.starts_with(NOP5) => NopForm::NopNop5,
        Some(next) if next.starts_with(NOP10) => NopForm::NopNop10,
        Some(_) => NopForm::Nop,
        None if code.starts_with(NOP5) => NopForm::Nop5,
        None if code.starts_with(NOP10) => NopForm::Nop10,
        None => NopForm::Other,
    }
}

/// The hazard of attaching at a site of this form, on kernels that [have it](Hazard::applies_to).
#[must_use]
pub fn hazard(form: NopForm) -> Option<Hazard> {
    match form {
        NopForm::Nop5 => Some(Hazard::RedZone),
        NopForm::Nop10 => Some(Hazard::NeverFires),
        // Attached at the one-byte nop, whatever follows.
        NopForm::Nop | NopForm::NopNop5 | NopForm::NopNop10 | NopForm::Other => None,
    }
}

impl fmt::Display for NopForm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            NopForm::Nop => "nop",
            NopForm::Nop5 => "nop5",
            NopForm::Nop10 => "nop10",
            NopForm::NopNop5 => "nop,nop5",
            NopForm::NopNop10 => "nop,nop10",
            NopForm::Other => "other",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_told_apart_by_their_bytes() {
        let ret = &[0xc3][..];
        for (code, form) in [
            (vec![NOP, ret], NopForm::Nop),
            (vec![NOP], NopForm::Nop),
            (vec![NOP, NOP], NopForm::Nop),
            (vec![NOP5, ret], NopForm::Nop5),
            (vec![NOP10], NopForm::Nop10),
            (vec![NOP, NOP5], NopForm::NopNop5),
            (vec![NOP, NOP10], NopForm::NopNop10),
            (vec![NOP_AARCH64], NopForm::Nop),
            (vec![ret], NopForm::Other),
            (vec![&NOP5[..4]], NopForm::Other),
            (vec![], NopForm::Other),
        ] {
            assert_eq!(classify(&code.concat()), form, "{code:x?}");
        }
    }

    #[test]
    fn only_bare_long_nops_are_hazards() {
        assert_eq!(hazard(NopForm::Nop5), Some(Hazard::RedZone));
        assert_eq!(hazard(NopForm::Nop10), Some(Hazard::NeverFires));
        for form in [NopForm::Nop, NopForm::NopNop5, NopForm::NopNop10, NopForm::Other] {
            assert_eq!(hazard(form), None);
        }
    }

    #[test]
    fn kernels_before_the_optimized_uprobe_may_attach_to_nop5() {
        assert!(!Hazard::RedZone.applies_to(6, 17));
        assert!(Hazard::RedZone.applies_to(6, 18));
        assert!(Hazard::RedZone.applies_to(7, 0));
        assert!(Hazard::NeverFires.applies_to(6, 1));
    }
}
