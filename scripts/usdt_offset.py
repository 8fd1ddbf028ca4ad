#!/usr/bin/env python3
"""Prints where a USDT probe lies in a 64-bit little-endian ELF file, and the register of its first argument.

usage: usdt_offset.py FILE PROVIDER PROBE     prints e.g. "0x8d2a0 rdi"

The note holds the address in memory; the kernel's uprobe_events wants the offset in the file.
"""
import re
import struct
import sys


def sections(elf):
    """Yields (name, address, file offset, size) of every section."""
    (start,) = struct.unpack_from("<Q", elf, 0x28)
    size, count, names = struct.unpack_from("<HHH", elf, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", elf, start + i * size) for i in range(count)]
    for name, _type, _flags, address, offset, length in headers:
        begin = headers[names][4] + name
        yield elf[begin : elf.index(b"\0", begin)].decode(), address, offset, length


def main(path, provider, probe):
    with open(path, "rb") as file:
        elf = file.read()
    found = list(sections(elf))
    _, _, at, length = next(s for s in found if s[0] == ".note.stapsdt")
    end = at + length
    while at < end:
        _name_size, size, _type = struct.unpack_from("<III", elf, at)
        note = elf[at + 20 : at + 20 + size]
        at += 20 + (size + 3) // 4 * 4
        strings = note[24:].split(b"\0")
        if [s.decode() for s in strings[:2]] == [provider, probe]:
            (address,) = struct.unpack_from("<Q", note)
            _, base, offset, _ = next(s for s in found if s[1] and s[1] <= address < s[1] + s[3])
            register = re.match(r"-?\d@%(\w+)", strings[2].decode())
            return f"{address - base + offset:#x} {register[1]}"
    sys.exit(f"{path}: has no probe {provider}:{probe}")


if __name__ == "__main__":
    print(main(*sys.argv[1:]))
