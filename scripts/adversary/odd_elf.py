"""Copies of a program that runs, whose section headers are odd: usage: odd_elf.py FILE; makes FILE.0, FILE.1, ...

Only the first bytes of FILE are kept, and each copy is as long as FILE: they are sparse.
"""
import os
import struct
import sys

path = sys.argv[1]
with open(path, "rb") as file:
    head = file.read(1 << 20).rstrip(b"\0")
    size = os.fstat(file.fileno()).st_size
NOTE, PROGBITS, STRTAB, SYMTAB, DYNAMIC = 7, 1, 3, 2, 6
names = b"\0.note.stapsdt\0.stapsdt.base\0.probes\0"


def section(name, kind, offset, length, link=0, info=0, each=0):
    return struct.pack("<IIQQQQIIQQ", name, kind, 2, 0, offset, length, link, info, 1, each)


def note(length):
    return struct.pack("<III", 8, length, 3) + b"stapsdt\0" + bytes(24) + b"target\0odd\0\0"


end = (len(head) + 4095) & ~4095
odd = [
    # Notes that are all of the file, one after the other, and nothing but zeros.
    [section(1, NOTE, end, size - end)],
    # Many sections of notes that are the same bytes.
    [section(1, NOTE, end, 1 << 30)] * 60000,
    # Sections that name each other, and themselves.
    [section(1, NOTE, 0, 4096, n + 1, n) for n in range(1000)],
    [section(1, kind, end, size - end, 1, 1, each) for kind in (NOTE, SYMTAB, DYNAMIC, STRTAB) for each in (0, 1, 1 << 40)],
    # A table that is in itself.
    [section(1, NOTE, end + 8192, 64 * 64)] * 64,
]
for number, sections in enumerate(odd):
    sections = [section(0, 0, 0, 0)] + sections + [section(0, STRTAB, end + 4096, len(names))]
    table = end + 8192
    count = len(sections)
    if number == 1:
        count = 0xFFFE
    image = bytearray(head[:64])
    image[0x28:0x30] = struct.pack("<Q", table)
    image[0x3C:0x40] = struct.pack("<HH", count, len(sections) - 1)
    with open(f"{path}.{number}", "wb") as file:
        file.write(bytes(image) + head[64:])
        file.seek(end)
        file.write(note((1 << 32) - 1 if number == 1 else 48))
        file.seek(end + 4096)
        file.write(names)
        file.seek(table)
        file.write(b"".join(sections))
        file.truncate(size)
    os.chmod(f"{path}.{number}", 0o755)
