//! Addresses of the symbols that argument specs name (`-4@40+counter(%rip)`), from the symbol tables of the same file.
//!
//! Tables can be far larger than what is wanted from them, so they are read in steps and only wanted names are kept.

use std::collections::{HashMap, HashSet};
use std::ffi::CStr;

use object::LittleEndian as LE;
use object::elf::{self, SectionHeader64, Sym64};

use crate::error::Damage;
use crate::find::elf::Elf;

/// Bytes of one symbol table.
pub const MAX_TABLE_BYTES: u64 = 96 << 20;
/// Bytes of the names of one symbol table.
pub const MAX_NAME_BYTES: u64 = 32 << 20;
/// Bytes of names looked at in one table: names that share their bytes count for each symbol.
pub const MAX_COMPARED_BYTES: usize = 256 << 20;
/// Symbol tables looked at in one file; a linked program has two.
const MAX_TABLES: usize = 4;
const SYMBOL_BYTES: u64 = size_of::<Sym64<LE>>() as u64;
/// Bytes of a symbol table in memory at a time.
const STEP_BYTES: u64 = SYMBOL_BYTES << 15;

/// What a symbol stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// An address as linked.
    Linked(u64),
    /// A distance from the start of the thread-local variables of the file.
    OfThread(u64),
}

/// Addresses of those `wanted` symbols that the file defines.
///
/// A name that stands for two addresses (static variables of two source files) is left out: nothing says which one
/// an argument spec means.
///
/// # Errors
/// If a symbol table is cut off or over a limit, or there are too many.
pub fn addresses(elf: &Elf<'_>, wanted: &HashSet<String>) -> Result<HashMap<String, Address>, Damage> {
    let mut found: HashMap<&str, Option<Address>> = HashMap::new();
    let tables = elf.sections_of_type(elf::SHT_SYMTAB).chain(elf.sections_of_type(elf::SHT_DYNSYM));
    for (count, table) in tables.enumerate() {
        if count == MAX_TABLES {
            let (found, max) = (count as u64 + 1, MAX_TABLES as u64);
            return Err(Damage::Limit { what: "number of symbol tables", found, max });
        }
        read_table(elf, table, wanted, &mut found)?;
    }
    Ok(found.into_iter().filter_map(|(name, address)| Some((name.to_owned(), address?))).collect())
}

/// Adds the wanted symbols of one table; an address that contradicts an earlier one becomes `None`.
fn read_table<'w>(
    elf: &Elf<'_>,
    table: &SectionHeader64<LE>,
    wanted: &'w HashSet<String>,
    found: &mut HashMap<&'w str, Option<Address>>,
) -> Result<(), Damage> {
    let longest = wanted.iter().map(String::len).max().unwrap_or(0);
    let Some(names) = elf.section_at(table.sh_link.get(LE)) else { return Ok(()) };
    let names = elf.section_bytes(names, "symbol name table", MAX_NAME_BYTES)?;
    let len = table.sh_size.get(LE);
    if len > MAX_TABLE_BYTES {
        return Err(Damage::Limit { what: "size of the symbol table", found: len, max: MAX_TABLE_BYTES });
    }
    let mut compared = 0_usize;
    let mut done = 0;
    while len - done >= SYMBOL_BYTES {
        let step = STEP_BYTES.min((len - done) / SYMBOL_BYTES * SYMBOL_BYTES);
        let symbols: Vec<Sym64<LE>> =
            elf.table("symbol table", table.sh_offset.get(LE).wrapping_add(done), step)?;
        for (symbol, address) in symbols.iter().filter_map(|symbol| Some((symbol, address(symbol)?))) {
            let Some(tail) = names.get(symbol.st_name.get(LE) as usize..) else { continue };
            let tail = &tail[..tail.len().min(longest + 1)];
            let name = CStr::from_bytes_until_nul(tail).ok().map(CStr::to_bytes);
            compared += name.map_or(tail.len(), <[u8]>::len);
            if compared > MAX_COMPARED_BYTES {
                let (found, max) = (compared as u64, MAX_COMPARED_BYTES as u64);
                return Err(Damage::Limit { what: "length of all names of symbols", found, max });
            }
            let name = name.and_then(|name| str::from_utf8(name).ok());
            let Some(name) = name.and_then(|name| wanted.get(name)) else { continue };
            found
                .entry(name)
                .and_modify(|known| *known = known.filter(|known| *known == address))
                .or_insert(Some(address));
        }
        done += step;
    }
    Ok(())
}

/// What a symbol stands for, if it is in this file.
fn address(symbol: &Sym64<LE>) -> Option<Address> {
    let value = symbol.st_value.get(LE);
    match symbol.st_info & 0xf {
        _ if symbol.st_shndx.get(LE) == elf::SHN_UNDEF => None,
        elf::STT_NOTYPE | elf::STT_OBJECT | elf::STT_FUNC | elf::STT_COMMON => Some(Address::Linked(value)),
        elf::STT_TLS => Some(Address::OfThread(value)),
        _ => None,
    }
}
