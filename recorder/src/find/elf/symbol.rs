//! Addresses of the symbols that argument specs name (`-4@40+counter(%rip)`), from the symbol tables of the same file.
//!
//! Tables can be far larger than what is wanted from them, so they are read in steps and only wanted names are kept.

use std::collections::{HashMap, HashSet};

use object::LittleEndian as LE;
use object::elf::{self, SectionHeader64, Sym64};

use crate::error::Damage;
use crate::find::elf::Elf;

/// Bytes of one symbol table.
pub const MAX_TABLE_BYTES: u64 = 96 << 20;
/// Bytes of the names of one symbol table.
pub const MAX_NAME_BYTES: u64 = 32 << 20;
/// Bytes of the name of a symbol that is looked for; C++ names are longer, but those are not operands.
pub const MAX_WANTED_BYTES: usize = 256;
/// Bytes of names compared in one table: 4 million symbols when the longest name looked for has 60 bytes.
pub const MAX_COMPARED_BYTES: u64 = 256 << 20;
/// Symbol tables looked at in one file; a linked program has two.
const MAX_TABLES: usize = 4;
const SYMBOL_BYTES: u64 = size_of::<Sym64<LE>>() as u64;
/// Bytes of a symbol table in memory at a time.
const STEP_BYTES: u64 = SYMBOL_BYTES << 15;

/// Addresses, as linked, of those `wanted` symbols that the file defines.
///
/// A name that stands for two addresses (static variables of two source files) is left out: nothing says which one
/// an argument spec means.
///
/// # Errors
/// If a symbol table is cut off or over a limit.
pub fn addresses(elf: &Elf<'_>, wanted: &HashSet<String>) -> Result<HashMap<String, u64>, Damage> {
    let mut found: HashMap<&str, Option<u64>> = HashMap::new();
    let tables = elf.sections_of_type(elf::SHT_SYMTAB).chain(elf.sections_of_type(elf::SHT_DYNSYM));
    for table in tables.take(MAX_TABLES) {
        read_table(elf, table, wanted, &mut found)?;
    }
    Ok(found.into_iter().filter_map(|(name, address)| Some((name.to_owned(), address?))).collect())
}

/// Adds the wanted symbols of one table; an address that contradicts an earlier one becomes `None`.
fn read_table<'w>(
    elf: &Elf<'_>,
    table: &SectionHeader64<LE>,
    wanted: &'w HashSet<String>,
    found: &mut HashMap<&'w str, Option<u64>>,
) -> Result<(), Damage> {
    let lengths = wanted.iter().map(String::len).filter(|len| *len <= MAX_WANTED_BYTES);
    let longest = lengths.max().unwrap_or(0);
    let Some(names) = elf.section_at(table.sh_link.get(LE)) else { return Ok(()) };
    let names = elf.section_bytes(names, "symbol name table", MAX_NAME_BYTES)?;
    let len = table.sh_size.get(LE);
    if len > MAX_TABLE_BYTES {
        return Err(Damage::Limit { what: "size of the symbol table", found: len, max: MAX_TABLE_BYTES });
    }
    let compared = len / SYMBOL_BYTES * (longest as u64 + 1);
    if compared > MAX_COMPARED_BYTES {
        let what = "number of symbols times the length of a name";
        return Err(Damage::Limit { what, found: compared, max: MAX_COMPARED_BYTES });
    }
    let mut done = 0;
    while len - done >= SYMBOL_BYTES {
        let step = STEP_BYTES.min((len - done) / SYMBOL_BYTES * SYMBOL_BYTES);
        let symbols: Vec<Sym64<LE>> =
            elf.table("symbol table", table.sh_offset.get(LE).wrapping_add(done), step)?;
        for symbol in symbols.iter().filter(|symbol| is_variable(symbol)) {
            let Some(tail) = names.get(symbol.st_name.get(LE) as usize..) else { continue };
            let tail = &tail[..tail.len().min(longest + 1)];
            let Some(end) = tail.iter().position(|byte| *byte == 0) else { continue };
            let Some(name) = str::from_utf8(&tail[..end]).ok().and_then(|name| wanted.get(name)) else {
                continue;
            };
            let address = symbol.st_value.get(LE);
            found
                .entry(name)
                .and_modify(|known| *known = known.filter(|known| *known == address))
                .or_insert(Some(address));
        }
        done += step;
    }
    Ok(())
}

/// Whether the symbol stands for an address in this file.
fn is_variable(symbol: &Sym64<LE>) -> bool {
    let kind = symbol.st_info & 0xf;
    symbol.st_shndx.get(LE) != elf::SHN_UNDEF
        && matches!(kind, elf::STT_NOTYPE | elf::STT_OBJECT | elf::STT_FUNC | elf::STT_COMMON)
}
