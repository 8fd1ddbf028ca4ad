//! Plain values as bytes, between two processes of one build: fields in order, lengths before what has one, little-endian.
//!
//! What comes from a helper that read hostile files is taken with care: nothing is allocated for a mere claim.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// A value that can be sent.
pub(crate) trait Wire: Sized {
    /// Adds it to `out`.
    fn put(&self, out: &mut Vec<u8>);
    /// Takes one from the begin of `bytes`; `None` if there is none.
    fn take(bytes: &mut &[u8]) -> Option<Self>;
}

/// The bytes of a value.
pub(crate) fn to_bytes<T: Wire>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    value.put(&mut out);
    out
}

/// The value that is all of `bytes`.
pub(crate) fn from_bytes<T: Wire>(mut bytes: &[u8]) -> Option<T> {
    T::take(&mut bytes).filter(|_| bytes.is_empty())
}

/// Makes structs sendable, by the names of their fields.
macro_rules! wire_struct {
    ($($name:ty { $($field:ident),* $(,)? })*) => { $(
        impl $crate::host::helper::wire::Wire for $name {
            fn put(&self, out: &mut Vec<u8>) {
                $($crate::host::helper::wire::Wire::put(&self.$field, out);)*
            }
            fn take(bytes: &mut &[u8]) -> Option<Self> {
                $(let $field = $crate::host::helper::wire::Wire::take(bytes)?;)*
                Some(Self { $($field),* })
            }
        }
    )* };
}
pub(crate) use wire_struct;

macro_rules! wire_numbers {
    ($($number:ty)*) => { $(
        impl Wire for $number {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn take(bytes: &mut &[u8]) -> Option<Self> {
                let (number, rest) = bytes.split_first_chunk()?;
                *bytes = rest;
                Some(Self::from_le_bytes(*number))
            }
        }
    )* };
}
wire_numbers!(u8 u16 u32 u64 i32 i64);

impl Wire for () {
    fn put(&self, _: &mut Vec<u8>) {}
    fn take(_: &mut &[u8]) -> Option<Self> {
        Some(())
    }
}

impl Wire for bool {
    fn put(&self, out: &mut Vec<u8>) {
        u8::from(*self).put(out);
    }
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        Some(u8::take(bytes)? != 0)
    }
}

impl Wire for Vec<u8> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u64).put(out);
        out.extend_from_slice(self);
    }
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let len = usize::try_from(u64::take(bytes)?).ok()?;
        let (taken, rest) = bytes.split_at_checked(len)?;
        *bytes = rest;
        Some(taken.to_vec())
    }
}

impl Wire for String {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_bytes().to_vec().put(out);
    }
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        String::from_utf8(Vec::take(bytes)?).ok()
    }
}

impl Wire for OsString {
    fn put(&self, out: &mut Vec<u8>) {
        OsStr::as_bytes(self).to_vec().put(out);
    }
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        Some(OsString::from_vec(Vec::take(bytes)?))
    }
}

impl Wire for PathBuf {
    fn put(&self, out: &mut Vec<u8>) {
        Path::as_os_str(self).to_owned().put(out);
    }
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        Some(PathBuf::from(OsString::take(bytes)?))
    }
}

/// A type of which lists are sent; bytes have a form of their own.
pub(crate) trait Listed: Wire {}

impl<T: Listed> Wire for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        (self.len() as u64).put(out);
        self.iter().for_each(|value| value.put(out));
    }
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let len = u64::take(bytes)?;
        let mut list = Vec::new();
        for _ in 0..len {
            list.push(T::take(bytes)?);
        }
        Some(list)
    }
}

impl Listed for PathBuf {}
impl Listed for OsString {}
impl Listed for String {}
impl Listed for u64 {}
impl<T: Wire> Listed for Option<T> {}
impl<A: Wire, B: Wire> Listed for (A, B) {}
impl<T: Wire, E: Wire> Listed for Result<T, E> {}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        self.iter().for_each(|value| value.put(out));
    }
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        if bool::take(bytes)? { Some(Some(T::take(bytes)?)) } else { Some(None) }
    }
}

impl<T: Wire, E: Wire> Wire for Result<T, E> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_ok().put(out);
        match self {
            Ok(value) => value.put(out),
            Err(error) => error.put(out),
        }
    }
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        Some(if bool::take(bytes)? { Ok(T::take(bytes)?) } else { Err(E::take(bytes)?) })
    }
}

impl<A: Wire, B: Wire> Wire for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        Some((A::take(bytes)?, B::take(bytes)?))
    }
}

impl<A: Wire, B: Wire, C: Wire> Wire for (A, B, C) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
        self.2.put(out);
    }
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        Some((A::take(bytes)?, B::take(bytes)?, C::take(bytes)?))
    }
}

/// The number of the system's error, or what another one says.
impl Wire for io::Error {
    fn put(&self, out: &mut Vec<u8>) {
        let number = self.raw_os_error().unwrap_or(0);
        number.put(out);
        if number == 0 {
            self.to_string().put(out);
        }
    }
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        Some(match i32::take(bytes)? {
            0 => io::Error::new(io::ErrorKind::InvalidInput, String::take(bytes)?),
            number => io::Error::from_raw_os_error(number),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_arrive_as_they_were() {
        type Value = (Vec<(PathBuf, OsString)>, Option<Result<i64, String>>, (bool, u16, Vec<u64>));
        let value: Value = (
            vec![("/a b".into(), OsString::from_vec(vec![0xff])), (PathBuf::new(), "x".into())],
            Some(Err("no".into())),
            (true, 7, vec![1, u64::MAX]),
        );
        let bytes = to_bytes(&value);
        assert_eq!(from_bytes::<Value>(&bytes), Some(value));
        for len in 0..bytes.len() {
            assert_eq!(from_bytes::<Value>(&bytes[..len]), None, "cut off at {len}");
        }
        assert_eq!(from_bytes::<Value>(&[&bytes[..], &[0]].concat()), None, "one byte too many");
    }

    #[test]
    fn a_length_that_is_a_lie_costs_nothing() {
        let lie = u64::MAX.to_le_bytes();
        assert_eq!(from_bytes::<Vec<u8>>(&lie), None);
        assert_eq!(from_bytes::<Vec<(u64, u64)>>(&lie), None);
    }

    #[test]
    fn errors_keep_their_number_or_their_words() {
        let through = |error: io::Error| from_bytes::<io::Error>(&to_bytes(&error)).unwrap();
        assert_eq!(
            through(io::Error::from_raw_os_error(libc::EACCES)).kind(),
            io::ErrorKind::PermissionDenied
        );
        let error = through(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (io::ErrorKind::InvalidInput, "not a regular file")
        );
    }
}
