//! Sites of this program itself, for trials: functions of a few instructions with the wanted form of nop in them.
//!
//! They have no ELF notes, so that neither `tracer list` nor another recording finds them in every running `tracer`.

use std::arch::naked_asm;
use std::io::{self, BufRead, Write};
use std::sync::atomic::{AtomicU16, Ordering};

use tracer_format::ArgKind;

use crate::arch::nop::NopForm;
use crate::kernel::link::Place;
use crate::site::argument::{Argument, Location};
use tracer_format::SiteId;

/// Times that each site is fired.
pub(super) const FIRINGS: u64 = 1000;

/// Slot of the register with the first argument of a function.
const FIRST_ARGUMENT: u8 = if cfg!(target_arch = "x86_64") { 5 } else { 0 };

/// A function with a site in it. Gives 1 if its stack was overwritten meanwhile, 0 if not.
type Function = extern "C" fn(u64) -> u64;

/// A site, with the index that its events carry.
#[derive(Clone, Copy)]
pub(super) struct Target {
    /// Index given to the program.
    pub(super) site: SiteId,
    /// What it stands for.
    pub(super) name: &'static str,
    /// Instruction there.
    pub(super) form: NopForm,
    function: Function,
    /// Bytes of the function before the site.
    before: usize,
    /// Whether it fires only while it is traced.
    pub(super) has_semaphore: bool,
}

/// Incremented by the kernel while the site with the semaphore is attached. In a section that the file has bytes for:
/// the kernel finds it by its place in the file.
#[unsafe(link_section = ".data")]
static SEMAPHORE: AtomicU16 = AtomicU16::new(0);

/// Functions that are a one-byte nop and a return. All are different functions, at places of their own.
macro_rules! plain {
    ($($name:ident)*) => {$(
        /// # Safety of the attribute
        /// The body is a whole function of the C calling convention: it returns what is in the result register.
        #[unsafe(naked)]
        extern "C" fn $name(value: u64) -> u64 {
            #[cfg(target_arch = "x86_64")]
            naked_asm!("nop", "xor eax, eax", "ret");
            #[cfg(not(target_arch = "x86_64"))]
            naked_asm!("nop", "mov x0, #0", "ret");
        }
    )*};
}

plain!(value with_semaphore text);

/// Functions that put their argument into the 128 bytes below the stack pointer, which the System V ABI gives to the
/// function, and look whether it is still there after the site.
#[cfg(target_arch = "x86_64")]
macro_rules! watching_the_red_zone {
    ($($name:ident $site:literal)*) => {$(
        /// # Safety of the attribute
        /// The body is a whole function of the C calling convention; it changes rax and the flags, as it may.
        #[unsafe(naked)]
        extern "C" fn $name(value: u64) -> u64 {
            naked_asm!(
                "mov [rsp - 8], rdi",
                $site,
                "xor eax, eax",
                "cmp [rsp - 8], rdi",
                "setne al",
                "ret",
            );
        }
    )*};
}

#[cfg(target_arch = "x86_64")]
watching_the_red_zone! {
    nop5 ".byte 0x0f, 0x1f, 0x44, 0x00, 0x00"
    nop10 ".byte 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00"
    nop_nop5 ".byte 0x90, 0x0f, 0x1f, 0x44, 0x00, 0x00"
    nop_nop10 ".byte 0x90, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00"
}

const fn harmless(site: u32, name: &'static str, function: Function) -> Target {
    Target { site: SiteId(site), name, form: NopForm::Nop, function, before: 0, has_semaphore: false }
}

/// Bytes of `mov [rsp - 8], rdi`.
#[cfg(target_arch = "x86_64")]
const MOVE_BYTES: usize = 5;

#[cfg(target_arch = "x86_64")]
const fn long(site: u32, name: &'static str, form: NopForm, function: Function) -> Target {
    Target { site: SiteId(site), name, form, function, before: MOVE_BYTES, has_semaphore: false }
}

/// Sites that can be fired in this process.
pub(super) const HARMLESS: [Target; 3] = [
    harmless(0, "value", value),
    Target { has_semaphore: true, ..harmless(1, "semaphore", with_semaphore) },
    harmless(2, "string", text),
];

/// Sites that are fired in a process of their own.
#[cfg(target_arch = "x86_64")]
pub(super) const LONG: &[Target] = &[
    long(3, "nop5", NopForm::Nop5, nop5),
    long(4, "nop10", NopForm::Nop10, nop10),
    long(5, "nop,nop5", NopForm::NopNop5, nop_nop5),
    long(6, "nop,nop10", NopForm::NopNop10, nop_nop10),
];
#[cfg(not(target_arch = "x86_64"))]
pub(super) const LONG: &[Target] = &[];

impl Target {
    /// How its argument is read.
    pub(super) fn argument(&self) -> Argument {
        let kind = if self.name == "string" { ArgKind::Str } else { ArgKind::Unsigned(8) };
        Argument { kind, location: Location::Register { slot: FIRST_ARGUMENT, shift: 0 } }
    }

    /// Where it is in the file of this program.
    pub(super) fn place(&self) -> io::Result<Place> {
        let offset = file_offset(self.function as usize + self.before)?;
        let semaphore_offset =
            if self.has_semaphore { file_offset((&raw const SEMAPHORE).addr())? } else { 0 };
        Ok(Place { offset, semaphore_offset, site: self.site })
    }

    /// Fires with `argument`, unless it has a semaphore that is not raised. Gives the number of times
    /// fired, 0 or 1, and whether the stack was overwritten.
    pub(super) fn fire(&self, argument: u64) -> (u64, u64) {
        if self.has_semaphore && semaphore() == 0 {
            return (0, 0);
        }
        (1, (self.function)(argument))
    }
}

/// What the semaphore stands at.
pub(super) fn semaphore() -> u16 {
    SEMAPHORE.load(Ordering::Relaxed)
}

/// Offset in the file of this program of what is at `address` in this process.
fn file_offset(address: usize) -> io::Result<u64> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let offset = maps.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        let (from, to) = fields.next()?.split_once('-')?;
        let (from, to) = (usize::from_str_radix(from, 16).ok()?, usize::from_str_radix(to, 16).ok()?);
        let (offset, inode) = (fields.nth(1)?, fields.nth(1)?);
        let offset = u64::from_str_radix(offset, 16).ok().filter(|_| inode != "0")?;
        (from..to).contains(&address).then(|| offset + (address - from) as u64)
    });
    offset.ok_or_else(|| io::Error::other("not found in /proc/self/maps"))
}

/// The child of a trial: waits for the first argument on standard input, fires the site of that name a
/// thousand times and says how often its stack was overwritten.
///
/// # Errors
/// If there is no such form, or the parent is gone.
pub fn fire(name: &str) -> io::Result<()> {
    let target = LONG.iter().find(|target| target.name == name);
    let target = target.ok_or_else(|| io::Error::other(format!("{name}: not a form of nop")))?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let base: u64 = line.trim().parse().map_err(io::Error::other)?;
    let overwritten: u64 = (0..FIRINGS).map(|i| target.fire(base + i).1).sum();
    writeln!(io::stdout(), "{overwritten}")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;
    use crate::arch::nop::{NOP_BYTES, classify};

    #[test]
    fn every_site_is_in_the_file_where_it_is_said_to_be() {
        let file = std::fs::File::open("/proc/self/exe").expect("opened");
        let mut offsets = Vec::new();
        for target in HARMLESS.iter().chain(LONG) {
            let place = target.place().expect("a place");
            let mut code = [0; NOP_BYTES];
            file.read_exact_at(&mut code, place.offset).expect("in the file");
            assert_eq!(classify(&code), target.form, "{}: {code:x?}", target.name);
            offsets.push(place.offset);
            assert_eq!(place.semaphore_offset != 0, target.name == "semaphore");
        }
        offsets.sort_unstable();
        offsets.dedup();
        assert_eq!(offsets.len(), HARMLESS.len() + LONG.len(), "each has a place of its own");
    }

    #[test]
    fn without_a_tracer_nothing_is_overwritten_and_the_semaphore_is_zero() {
        for target in HARMLESS.iter().chain(LONG) {
            let fired = u64::from(target.name != "semaphore");
            assert_eq!(target.fire(4711), (fired, 0), "{}", target.name);
        }
        assert_eq!(semaphore(), 0);
    }
}
