//! Offsets in the structures of the kernel that runs, from its own type information (BTF).
//!
//! Only names and offsets of members are read; a crate that resolves everything takes a quarter of a second for the
//! kernel's 5 MB, this a few milliseconds. The format is `Documentation/bpf/btf.rst` of Linux 6.18.

use std::fs;
use std::io;
use std::path::Path;

use crate::abi::KernelLayout;

/// Where the kernel shows its type information.
const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// Type information, indexed.
struct Btf<'a> {
    strings: &'a [u8],
    types: &'a [u8],
    /// Where each type begins in `types`, by id; type 0 has no bytes.
    starts: Vec<usize>,
}

/// Kinds that are looked into; `BTF_KIND_` of `include/uapi/linux/btf.h`.
const STRUCT: u32 = 4;
const UNION: u32 = 5;
/// Kinds that name another type: typedef, volatile, const, restrict.
const ALIASES: [u32; 4] = [8, 9, 10, 11];

/// Deepest nesting of unnamed members that is followed.
const MAX_DEPTH: u32 = 8;

/// Where the running kernel keeps what is known of processes.
///
/// # Errors
/// If the kernel has no BTF, or it does not have what is expected.
pub(crate) fn kernel_layout() -> io::Result<KernelLayout> {
    let bytes = fs::read(Path::new(KERNEL_BTF))?;
    let missing = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{KERNEL_BTF}: {what}"));
    let btf = Btf::parse(&bytes).ok_or_else(|| missing("not understood"))?;
    let find = |path: &str| btf.offset(path).ok_or_else(|| missing(&format!("no {path}")));
    Ok(KernelLayout {
        task_pid: find("task_struct.pid")?,
        task_tgid: find("task_struct.tgid")?,
        task_start: find("task_struct.start_boottime")?,
        task_parent: find("task_struct.real_parent")?,
        task_mm: find("task_struct.mm")?,
        task_signal: find("task_struct.signal")?,
        task_exit_code: find("task_struct.exit_code")?,
        signal_live: find("signal_struct.live")?,
        mm_exe_file: find("mm_struct.exe_file")?,
        mm_arg_start: find("mm_struct.arg_start")?,
        mm_arg_end: find("mm_struct.arg_end")?,
        file_dentry: find("file.f_path.dentry")?,
        dentry_name: find("dentry.d_name.name")?,
        binprm_filename: find("linux_binprm.filename")?,
        // Only thread-local arguments need it.
        task_fsbase: btf.offset("task_struct.thread.fsbase").unwrap_or(0),
    })
}

impl<'a> Btf<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        if bytes.get(..2)? != 0xeb9f_u16.to_le_bytes() {
            return None;
        }
        // Offsets count from the end of the header.
        let body = bytes.get(word(bytes, 4)? as usize..)?;
        let part = |at| {
            let (start, length) = (word(bytes, at)? as usize, word(bytes, at + 4)? as usize);
            body.get(start..start.checked_add(length)?)
        };
        let (types, strings) = (part(8)?, part(16)?);
        let mut starts = vec![0];
        let mut at = 0;
        while at < types.len() {
            starts.push(at);
            at += 12 + extra_bytes(word(types, at + 4)?)?;
        }
        Some(Self { strings, types, starts })
    }

    /// Offset in bytes of `STRUCT.MEMBER`, or of a member of a member, and so on.
    fn offset(&self, path: &str) -> Option<u32> {
        let mut names = path.split('.');
        let name = names.next()?;
        let mut structure = *self.starts.iter().skip(1).find(|at| {
            let (is_structure, has_name) = (self.kind(**at) == Some(STRUCT), self.name(**at));
            is_structure && has_name == Some(name.as_bytes())
        })?;
        let mut bits = 0;
        for name in names {
            let (offset, kind) = self.member(structure, name.as_bytes(), 0)?;
            bits += offset;
            structure = kind;
        }
        Some(bits / 8)
    }

    /// Offset in bits and type of member `name` of the structure at `at`, which may be in an unnamed member.
    fn member(&self, at: usize, name: &[u8], depth: u32) -> Option<(u32, usize)> {
        let information = word(self.types, at + 4)?;
        for index in 0..(information & 0xffff) as usize {
            let member = at + 12 + 12 * index;
            let offset = word(self.types, member + 8)?;
            // With the flag, the upper byte is the width of a bit field.
            let offset = if information >> 31 == 1 { offset & 0x00ff_ffff } else { offset };
            let kind = self.resolve(word(self.types, member + 4)?)?;
            let own_name = self.name(member)?;
            if own_name == name {
                return Some((offset, kind));
            }
            let is_nested = own_name.is_empty() && matches!(self.kind(kind), Some(STRUCT | UNION));
            if is_nested
                && depth < MAX_DEPTH
                && let Some((inner, kind)) = self.member(kind, name, depth + 1)
            {
                return Some((offset + inner, kind));
            }
        }
        None
    }

    /// Where the type `id` begins, behind its aliases.
    fn resolve(&self, id: u32) -> Option<usize> {
        let mut at = *self.starts.get(id as usize)?;
        for _ in 0..MAX_DEPTH {
            if !ALIASES.contains(&self.kind(at)?) {
                break;
            }
            at = *self.starts.get(word(self.types, at + 8)? as usize)?;
        }
        Some(at)
    }

    fn kind(&self, at: usize) -> Option<u32> {
        Some(word(self.types, at + 4)? >> 24 & 31)
    }

    /// The name that the type or member at `at` begins with.
    fn name(&self, at: usize) -> Option<&'a [u8]> {
        let start = word(self.types, at)? as usize;
        self.strings.get(start..)?.split(|byte| *byte == 0).next()
    }
}

/// Bytes behind the first 12 of a type with this information word: the kind and the number of its members.
fn extra_bytes(information: u32) -> Option<usize> {
    let count = (information & 0xffff) as usize;
    Some(match information >> 24 & 31 {
        // Pointer, forward declaration, typedef, volatile, const, restrict, function, float, type tag.
        2 | 7..=12 | 16 | 18 => 0,
        // Integer, variable, declaration tag.
        1 | 14 | 17 => 4,
        // Array; structure, union, data section, enumeration of 64 bits.
        3 => 12,
        STRUCT | UNION | 15 | 19 => 12 * count,
        // Enumeration, parameters of a function.
        6 | 13 => 8 * count,
        _ => return None,
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().expect("four bytes")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header, then types, then strings.
    fn bytes(types: &[u32], strings: &[u8]) -> Vec<u8> {
        let length = u32::try_from(types.len() * 4).unwrap();
        let head = [0x1_eb9f, 24, 0, length, length, u32::try_from(strings.len()).unwrap()];
        let mut bytes: Vec<u8> = head.iter().chain(types).flat_map(|word| word.to_le_bytes()).collect();
        bytes.extend(strings);
        bytes
    }

    /// `typedef struct b { int c; } t; struct a { int :1 x; union { t y; }; };` with an integer in front.
    const TYPES: [u32; 33] = [
        0,
        1 << 24,
        4,
        32, // 1: an integer
        3,
        4 << 24 | 1,
        4,
        5,
        1,
        64, // 2: struct b { c at bit 64 }
        7,
        8 << 24,
        2, // 3: typedef t
        0,
        5 << 24 | 1,
        4,
        9,
        3,
        0, // 4: union { t y }
        1,
        1 << 31 | 4 << 24 | 2,
        8,
        11,
        1,
        1 << 24 | 3,
        0,
        4,
        32, // 5: struct a { x at bit 3; union at bit 32 }
        1,
        7 << 24,
        0, // 6: a forward declaration of a
        0,
        0,
    ];
    const STRINGS: &[u8] = b"\0a\0b\0c\0t\0y\0x\0";

    #[test]
    fn members_are_found_in_unnamed_members_and_behind_aliases() {
        let bytes = bytes(&TYPES[..31], STRINGS);
        let btf = Btf::parse(&bytes).unwrap();
        assert_eq!(btf.offset("b.c"), Some(8));
        assert_eq!(btf.offset("a.y"), Some(4));
        assert_eq!(btf.offset("a.y.c"), Some(12));
        assert_eq!(btf.offset("a.c"), None);
        assert_eq!(btf.offset("z.c"), None);
    }

    #[test]
    fn broken_type_information_is_no_layout() {
        let whole = bytes(&TYPES[..31], STRINGS);
        for end in 0..whole.len() {
            assert!(Btf::parse(&whole[..end]).is_none(), "{end}");
        }
        assert!(Btf::parse(&bytes(&[0, 31 << 24, 0], STRINGS)).is_none(), "a kind that does not exist");
        // A union that contains itself, a typedef of itself.
        let endless =
            bytes(&[1, 4 << 24 | 1, 0, 0, 2, 0, 0, 5 << 24 | 1, 0, 0, 2, 0, 0, 8 << 24, 3], STRINGS);
        assert_eq!(Btf::parse(&endless).unwrap().offset("a.x"), None);
    }
}
