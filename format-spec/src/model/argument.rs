//! Arguments of probes: how the bits of one are to be read, and the value that they give.

/// How the bits of an argument are to be read; the number is its size in bytes (1, 2, 4 or 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ArgKind {
    /// Two's complement, kept sign-extended to 64 bits.
    Signed(u8),
    /// Kept zero-extended to 64 bits.
    Unsigned(u8),
    /// IEEE 754; the bits of its size, zero-extended.
    Float(u8),
    /// Bytes up to a NUL; the value is an index into the block's strings.
    Str,
    /// A kind of a later version, by its number on disk: its values are unreadable.
    Unknown(u8),
}

impl ArgKind {
    /// Whether its values are integers, signed or not: only those can be a key.
    #[must_use]
    pub fn is_integer(self) -> bool {
        matches!(self, Self::Signed(_) | Self::Unsigned(_))
    }
}

/// The value of one argument.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Arg<'a> {
    /// A signed number.
    Signed(i64),
    /// An unsigned number.
    Unsigned(u64),
    /// A floating point number.
    Float(f64),
    /// A string without its NUL, not necessarily UTF-8.
    Str(&'a [u8]),
    /// The beginning of a string, whose end the recorder did not see.
    CutStr(&'a [u8]),
    /// The recorder could not read it.
    Unreadable,
}

impl Arg<'_> {
    /// A string as text to be shown: what is not UTF-8 becomes U+FFFD, and one that is cut ends with `…`. `None` if it is no
    /// string.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Str(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Self::CutStr(bytes) => Some(String::from_utf8_lossy(bytes).into_owned() + CUT_MARK),
            _ => None,
        }
    }
}

/// What stands behind a string that is cut, where it is shown and in tables.
pub const CUT_MARK: &str = "\u{2026}";
