#!/usr/bin/env python3
"""Prints the log of a trace, as `tracer replay` does, or what the file holds as JSON.

usage: read_trace.py [--json] TRACE           TRACE may be -, standard input

The second reader of the format, written from format-spec/SPEC.md alone to prove that text; numbers in comments are
its sections. It knows nothing of the code of `tracer` and takes the plainest way: it walks the blocks of every file
(9.1), also where there is an index, and then holds index and footer against what it found. So it also reports damage
that a reader by the index has no need to see. It keeps the file in memory.

Exit codes: 0; 1 not a trace; 2 usage; 3 the log was printed, but events were dropped, something was not recorded, or
the file is incomplete or damaged. Needs Python 3.11 or later and a zstd module.
"""
import argparse
import functools
import heapq
import itertools
import json
import os
import re
import struct
import sys
import zlib
from array import array
from collections import Counter, namedtuple

# Limits (12).
MAX_BLOCK_EVENTS = 65_536
MAX_BLOCK_VALUES = 262_144
MAX_BLOCK_STRING_BYTES = 1_048_576
MAX_BLOCKS = 2_147_483_648
MAX_STORED_BYTES = 8_388_608
MAX_DEFINITIONS_BYTES = 4_194_304
MAX_DEFINITIONS = 4_194_304
MAX_DEFINITIONS_WEIGHT = 1_073_741_824
MIN_DEFINITIONS_WEIGHT = 16_777_216
WEIGHT_PER_BYTE = 1024
DEFINITION_WEIGHT = 64
WORD_WEIGHT = 32
MAX_BLOCK_RECORDS = 65_536
MAX_ARGUMENTS = 12
MAX_NAME_BYTES = 4096
MAX_COMMAND_WORDS = 256
MAX_STRING_ARGUMENT_BYTES = 4096
# Where no file header stands, a trace has a block header in the first bytes (9.1).
MAX_LOST_BYTES = 65_536
# Bytes checked in vain, as a multiple of the file, before blocks with an unsure end are skipped unchecked (9.1).
MAX_VAIN_RATIO = 4
# Lines about damage that are printed; the rest is counted.
MAX_SHOWN = 100

# Structures (5); `x` are unused bytes.
VERSION = 1
FILE_MAGIC = b"\x89TRACE\r\n"
BLOCK_MAGIC = b"\xb7TRBLK\r\n"
TRAILER = b"TRACE.\r\n"
MAGIC = re.compile(re.escape(FILE_MAGIC) + b"|" + re.escape(BLOCK_MAGIC))
FILE_HEADER = struct.Struct("<8sH6xQ4xI")
BLOCK_HEADER = struct.Struct("<8sBB2xIQIIQQqqII")
GAP = struct.Struct("<IIH6xQQQ")
ANCHOR = struct.Struct("<I4xQQqq")
INDEX_ROW = struct.Struct("<QBB6xIIQQqq")
FOOTER = struct.Struct("<QQQQQ8x8s")
Header = namedtuple(
    "Header",
    "kind flags stored_bytes trace_id count sequence first_ns last_ns key_min key_max content_checksum",
)
Gap = namedtuple("Gap", "host site cpu from_ns to_ns count")
Anchor = namedtuple("Anchor", "host monotonic_ns boottime_ns realtime_ns tai_ns")
IndexRow = namedtuple("IndexRow", "offset kind flags stored_bytes count first_ns last_ns key_min key_max")
Footer = namedtuple("Footer", "trace_bytes restated_offset index_offset events dropped")
DEFINITIONS, EVENTS, GAPS, CLOCKS, INDEX, FOOT, CUTS = range(1, 8)
BLOCK_KINDS = dict(enumerate(("definitions", "events", "gaps", "clocks", "index", "footer", "cuts"), start=1))
REQUIRED = 1
RESTATED = 2
CUT = 4
UNKNOWN_SITE = 0xFFFF_FFFF
UNKNOWN_CPU = 0xFFFF
U64 = (1 << 64) - 1

# Definitions (5.5): kind, name, fields. Every number is a varint; u8, u32, u64 are what it has to fit in.
DEFINITION_KINDS = {
    1: ("host", "name:text kernel:text machine:text boot_id:text cpus:u32 tool:text command:words"),
    2: ("process", "host:u32 pid:u32 parent_pid:u32 start_ns:u64 program:text executable:text command:words"),
    3: ("thread", "process:u32 tid:u32"),
    4: (
        "site",
        "provider:text probe:text program:text path:text build_id:bytes offset:u64 semaphore_offset:u64 spec:text"
        " key_arg:u8 announced:u64 args:kinds",
    ),
    5: ("stage", "name:text from:text to:text key:text"),
    6: ("exit", "process:u32 time_ns:u64 status:u32"),
    7: ("cost", "bpf_ns:u64 bpf_runs:u64 cpu_ns:u64 wakeups:u64 drained_bytes:u64"),
    8: (
        "skipped",
        "host:u32 what:u8 count:u64 pid:u32 program:text path:text provider:text probe:text offset:u64 from_ns:u64"
        " until_ns:u64 reason:text",
    ),
}
PROCESS, THREAD, SITE, SKIPPED = 2, 3, 4, 8
UNSIGNED, SIGNED, FLOAT, STRING = 0x00, 0x10, 0x20, 0x30
ARGUMENT_KINDS = {0x01, 0x02, 0x04, 0x08, 0x11, 0x12, 0x14, 0x18, 0x24, 0x28, 0x30}
NAMED = {4: "probe", 5: "name", 8: "reason"}
PLAIN_VALUES, SITE_VALUES, THREAD_VALUES = range(3)


class NotATrace(Exception):
    """The file is no trace, or one that this reader must refuse."""


class Damage(Exception):
    """A content that contradicts itself or the specification."""


def check(right, text):
    if not right:
        raise Damage(text)


# --- Numbers, planes, columns (3, 6, 7) ---


def zstd_function():
    """A function of a zstd frame and its size that decompresses no more than that; and the error that it raises."""
    try:
        from compression import zstd
    except ImportError:
        try:
            import zstandard
        except ImportError:
            sys.exit(
                "read_trace.py: no zstd module: install python3-zstandard (Debian, for /usr/bin/python3) or "
                "zstandard (pip), or use Python 3.14"
            )
        return zstandard.ZstdDecompressor().decompress, zstandard.ZstdError
    return lambda frame, size: zstd.ZstdDecompressor().decompress(frame, max_length=size + 1), zstd.ZstdError


zstd_decompress, ZstdError = zstd_function()


def decompress(frame, size):
    """The content of exactly one zstd frame, which has to say that it gives `size` bytes, and to give them (7)."""
    # RFC 8878, 3.1.1: magic, descriptor, window if there are several segments, content size, then the blocks.
    check(frame[:4] == b"\x28\xb5\x2f\xfd" and len(frame) > 4, "not a zstd frame")
    single_segment = frame[4] >> 5 & 1
    check(frame[4] & 0b111 == 0, "a zstd frame with a checksum or a dictionary")
    size_bytes = (single_segment, 2, 4, 8)[frame[4] >> 6]
    at = 6 - single_segment + size_bytes
    check(size_bytes and at <= len(frame), "a zstd frame without content size")
    says = int.from_bytes(frame[at - size_bytes : at], "little") + (256 if size_bytes == 2 else 0)
    check(says == size, f"a zstd frame of {says} bytes for a plane of {size}")
    is_last = 0
    while not is_last:
        check(at + 3 <= len(frame), "a zstd frame that ends early")
        block = int.from_bytes(frame[at : at + 3], "little")
        is_last, form = block & 1, block >> 1 & 3
        at += 3 + (1 if form == 1 else block >> 3)
    check(at == len(frame), "a zstd frame of another length than its plane says")
    try:
        content = zstd_decompress(frame, size)
    except ZstdError as cause:
        raise Damage(f"zstd: {cause}") from None
    check(len(content) == size, "a zstd frame that gives another number of bytes than it says")
    return content


class Cursor:
    """Takes a content apart, from its begin on."""

    def __init__(self, content):
        self.content = content
        self.at = 0

    def take(self, size):
        end = self.at + size
        check(end <= len(self.content), "the content ends early")
        taken = self.content[self.at : end]
        self.at = end
        return taken

    def end(self):
        check(self.at == len(self.content), f"{len(self.content) - self.at} bytes too many")

    def byte(self):
        return self.take(1)[0]

    def varint(self):
        number = 0
        for shift in range(0, 70, 7):
            byte = self.byte()
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                check(number <= U64, "a varint of more than 64 bits")
                return number
        raise Damage("a varint of more than ten bytes")

    def u64(self):
        return self.varint()

    def u32(self):
        return self.count((1 << 32) - 1, "in a number of 32 bits")

    def u8(self):
        return self.count((1 << 8) - 1, "in a number of 8 bits")

    def count(self, limit, what):
        """A varint that is the number of something."""
        number = self.varint()
        check(number <= limit, f"{number} {what}, expected at most {limit}")
        return number

    def plane(self, size):
        if size == 0:
            return b""
        form = self.byte()
        if form == 0:
            return self.take(1) * size
        if form == 1:
            return self.take(size)
        check(form == 2, f"form {form} of a plane")
        frame = self.take(self.count(size, "bytes of a zstd frame"))
        return decompress(frame, size)

    def column(self, size):
        if size == 0:
            return []
        width = self.byte()
        check(width <= 72, f"a column that begins with {width}")
        if width <= 64:
            return self.packed(size, width)
        joined = bytearray(8 * size)
        for place in range(width - 64):
            joined[place::8] = self.plane(size)
        values = array("Q", bytes(joined))
        if sys.byteorder == "big":
            values.byteswap()
        return values.tolist()

    def packed(self, size, bits):
        """`size` numbers of so many bits each, end to end."""
        joined = int.from_bytes(self.take((size * bits + 7) // 8), "little")
        # In parts: shifting a long number takes as long as it is.
        step, numbers = 64, []
        mask, part_mask = (1 << bits) - 1, (1 << bits * 64) - 1
        for first in range(0, size, step):
            part = joined >> first * bits & part_mask
            numbers += [part >> place * bits & mask for place in range(min(step, size - first))]
        return numbers

    def text(self):
        raw = self.bytes()
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise Damage("a text that is not UTF-8") from None

    def bytes(self):
        return self.take(self.count(MAX_NAME_BYTES, "bytes of a name"))

    def words(self):
        return [self.text() for _ in range(self.count(MAX_COMMAND_WORDS, "words of a command"))]

    def kinds(self):
        return list(self.take(self.count(MAX_ARGUMENTS, "arguments")))


def unzigzag(number):
    return number >> 1 ^ -(number & 1)


def add_difference(value, number):
    return (value + unzigzag(number)) & U64


def as_signed(number):
    return number - (1 << 64) if number >> 63 else number


# --- Walking (9.1) ---


class Block:
    """A block that was found: its header, and where it is in the file."""

    def __init__(self, header, at, part):
        self.header = header
        self.at = at
        self.part = part
        self.end = at + BLOCK_HEADER.size + header.stored_bytes

    @property
    def name(self):
        return BLOCK_KINDS.get(self.header.kind, f"kind {self.header.kind}")

    def content(self, data):
        """The stored bytes, checked."""
        stored = data[self.at + BLOCK_HEADER.size : self.end]
        found, expected = zlib.crc32(stored), self.header.content_checksum
        check(found == expected, f"checksum {found:#010x}, header says {expected:#010x}")
        return stored


class Part:
    """A part of the file, and what was found in it."""

    def __init__(self, start, trace_id, has_header):
        self.start = start
        self.trace_id = trace_id
        self.has_header = has_header
        self.expected = 0
        self.is_over = False
        self.blocks = []
        self.is_whole = has_header
        self.definitions = {kind: {} for kind in DEFINITION_KINDS}
        self.gaps, self.restated_gaps = [], []
        self.anchors, self.restated_anchors = [], []
        # Numbers of the strings that are cut, by the sequence of their events block.
        self.cuts = {}
        self.index = None
        self.footer = None

    def may_follow(self, header):
        """Whether a block is of this part and not earlier than the one expected."""
        return header.trace_id == self.trace_id and header.sequence >= self.expected and not self.is_over

    def is_due(self, header):
        return self.may_follow(header) and header.sequence == self.expected

    def settle(self):
        """Gaps and anchors may stand twice, and damage may have taken some: those that are more count."""
        self.gaps = max(self.gaps, self.restated_gaps, key=len)
        self.anchors = max(self.anchors, self.restated_anchors, key=len)

    def dropped(self):
        """Events dropped: by the gaps that were read, or the footer where it knows of more."""
        return max(sum(gap.count for gap in self.gaps), self.footer.dropped if self.footer else 0)


def file_header(data, at):
    """Version and trace id of a sound file header, or None."""
    raw = data[at : at + FILE_HEADER.size]
    if len(raw) < FILE_HEADER.size or raw[:8] != FILE_MAGIC:
        return None
    _magic, version, trace_id, checksum = FILE_HEADER.unpack(raw)
    return (version, trace_id) if zlib.crc32(raw[:-4]) == checksum else None


def block_header(data, at):
    """A sound block header, or None."""
    raw = data[at : at + BLOCK_HEADER.size]
    if len(raw) < BLOCK_HEADER.size or raw[:8] != BLOCK_MAGIC:
        return None
    _magic, *fields, checksum = BLOCK_HEADER.unpack(raw)
    header = Header(*fields)
    in_limits = header.stored_bytes <= MAX_STORED_BYTES and header.sequence < MAX_BLOCKS
    return header if zlib.crc32(raw[:-4]) == checksum and in_limits else None


def next_header(data, at, end=None):
    """Where the next sound header begins, or None."""
    for found in MAGIC.finditer(data, at, len(data) if end is None else end):
        if file_header(data, found.start()) or block_header(data, found.start()):
            return found.start()
    return None


def is_cut_header(data, at):
    """Whether the file ends in a header that begins here."""
    rest = data[at : at + BLOCK_HEADER.size]
    return any(
        len(rest) < size and rest[:8] == magic[: len(rest)]
        for magic, size in ((FILE_MAGIC, FILE_HEADER.size), (BLOCK_MAGIC, BLOCK_HEADER.size))
    )


class Walk:
    """The parts and blocks of a file, and what is wrong with it."""

    def __init__(self, data):
        self.data = data
        self.parts = []
        self.problems = []
        self.at = 0
        self.vain = MAX_VAIN_RATIO * len(data)
        self.weight = 0
        if not file_header(data, 0) and next_header(data, 0, MAX_LOST_BYTES + len(BLOCK_MAGIC)) is None:
            raise NotATrace(f"not a trace: no file header, and no block header in the first {MAX_LOST_BYTES} bytes")
        while self.at < len(data) and self.step():
            pass

    def problem(self, at, text, damages=True):
        self.problems.append((at, text))
        if damages and self.parts:
            self.parts[-1].is_whole = False

    def begin_part(self, start, trace_id, has_header):
        self.parts.append(Part(start, trace_id, has_header))

    def step(self):
        """Goes on by one header, block or damaged place; false at the end."""
        header = file_header(self.data, self.at)
        if header:
            self.take_file_header(*header)
            return True
        header = block_header(self.data, self.at)
        if header:
            return self.take_block(header)
        if is_cut_header(self.data, self.at):
            self.problem(self.at, "the file ends in a header")
            return False
        self.resync(self.at, self.at)
        return True

    def take_file_header(self, version, trace_id):
        if version != VERSION:
            raise NotATrace(f"byte {self.at}: format version {version} is not known here (only {VERSION})")
        self.begin_part(self.at, trace_id, True)
        self.at += FILE_HEADER.size

    def take_block(self, header):
        """Takes or skips the block that begins here; false at the end."""
        if not self.parts:
            # Positions count from the lost file header, which stood right before the first block.
            self.begin_lost_part(header)
        part = self.parts[-1]
        block = Block(header, self.at, part)
        is_due = part.is_due(header)
        whole = self.is_whole(block, is_due)
        if whole is None:
            self.problem(self.at, "the file ends in a block")
            return False
        if not whole:
            part.expected += is_due
            part.is_over |= is_due and header.kind == FOOT
            self.problem(self.at, f"{block.name} block {header.sequence} ({header.count}) is damaged")
            self.resync(self.at + BLOCK_HEADER.size, self.at)
            return True
        if header.trace_id != part.trace_id:
            behind = block_header(self.data, block.end)
            if behind and part.may_follow(behind):
                self.problem(self.at, "a block of another trace")
                self.at = block.end
            else:
                self.begin_lost_part(header)
            return True
        if part.may_follow(header):
            self.keep(block)
        else:
            self.problem(self.at, f"block {header.sequence} is out of place, expected {part.expected}")
        self.at = block.end
        return True

    def begin_lost_part(self, header):
        self.begin_part(max(0, self.at - FILE_HEADER.size), header.trace_id, False)
        self.problem(self.at, "a part begins whose file header is lost")

    def is_whole(self, block, is_due):
        """Whether a block is whole; None if the file ends before."""
        if block.end > len(self.data):
            return None if next_header(self.data, block.at + BLOCK_HEADER.size) is None else False
        if is_due and self.is_end_or_header(block.end):
            return True
        if self.vain < 0:
            return True
        try:
            block.content(self.data)
            return True
        except Damage:
            self.vain -= block.header.stored_bytes
            return False

    def is_end_or_header(self, at):
        if at == len(self.data) or file_header(self.data, at) or block_header(self.data, at):
            return True
        return is_cut_header(self.data, at)

    def resync(self, start, damaged_from):
        """Goes to the next header."""
        found = next_header(self.data, start)
        self.at = len(self.data) if found is None else found
        self.problem(damaged_from, f"{self.at - damaged_from} bytes are damaged")

    def keep(self, block):
        part, sequence = block.part, block.header.sequence
        if sequence > part.expected:
            self.problem(self.at, f"{sequence - part.expected} blocks are missing before this one")
        part.expected = sequence + 1
        part.is_over = block.header.kind == FOOT
        part.blocks.append(block)
        if block.header.kind == FOOT:
            with_damage(self, block, read_footer)
        elif block.header.kind not in BLOCK_KINDS:
            with_damage(self, block, refuse_required)


def with_damage(walk, block, function):
    """What `function` makes of the content of a block; None if the block is damaged, which is noted."""
    try:
        return function(block, block.content(walk.data))
    except Damage as damage:
        count = f" ({block.header.count} events)" if block.header.kind == EVENTS else ""
        text = f"{block.name} block {block.header.sequence}{count} is damaged: {damage}"
        walk.problem(block.at, text, damages=False)
        return None


# --- Contents of blocks but events (5.5, 5.7 to 5.10) ---


def read_definitions(walk, block, content):
    part = block.part
    cursor = Cursor(content)
    size = cursor.count(MAX_DEFINITIONS_BYTES, "bytes of definitions")
    inner = Cursor(cursor.plane(size))
    cursor.end()
    made = []
    while inner.at < size:
        kind, number = inner.byte(), inner.varint()
        body_bytes = inner.take(inner.varint())
        body = Cursor(body_bytes)
        # An id below the bytes of the part, so that lists of definitions are never longer than the file.
        check(number < min(MAX_DEFINITIONS, block.end - part.start), f"id {number} of a definition")
        if kind in DEFINITION_KINDS:
            _name, fields = DEFINITION_KINDS[kind]
            pairs = (field.split(":") for field in fields.split())
            made.append((kind, number, {name: getattr(body, form)() for name, form in pairs}, len(body_bytes)))
            check(kind not in NAMED or made[-1][2][NAMED[kind]], "a site or stage without a name, or something skipped without a reason")
        else:
            made.append((None, number, None, 0))
    check(len(made) == block.header.count, f"{len(made)} definitions, header says {block.header.count}")
    limit = min(MAX_DEFINITIONS_WEIGHT, MIN_DEFINITIONS_WEIGHT + WEIGHT_PER_BYTE * block.end)
    for kind, number, definition, size in made:
        if kind and part.definitions[kind].get(number) != definition:
            part.definitions[kind][number] = definition
            if DEFINITION_KINDS[kind][0] != "cost":
                walk.weight += DEFINITION_WEIGHT + size + WORD_WEIGHT * len(definition.get("command", ()))
                check(walk.weight <= limit, f"definitions of weight {walk.weight}")


def refuse_required(block, _content):
    if block.header.flags & REQUIRED:
        raise NotATrace(f"byte {block.at}: a block of kind {block.header.kind} is required, and not known here")


def read_rows(block, content, layout, row):
    count = block.header.count
    check(len(content) == count * layout.size, f"{len(content)} bytes for {count} of {layout.size}")
    return [row(*fields) for fields in layout.iter_unpack(content)]


def read_gaps(block, content):
    check(block.header.count <= MAX_BLOCK_RECORDS, f"{block.header.count} gaps")
    gaps = read_rows(block, content, GAP, Gap)
    check(all(gap.from_ns <= gap.to_ns for gap in gaps), "a gap that ends before it begins")
    if block.header.flags & RESTATED:
        block.part.restated_gaps += gaps
    else:
        block.part.gaps += gaps


def read_clocks(block, content):
    check(block.header.count <= MAX_BLOCK_RECORDS, f"{block.header.count} clock anchors")
    anchors = read_rows(block, content, ANCHOR, Anchor)
    if block.header.flags & RESTATED:
        block.part.restated_anchors += anchors
    else:
        block.part.anchors += anchors


def read_cuts(block, content):
    """Which strings of the next block are cut (5.11)."""
    count, cursor = block.header.count, Cursor(content)
    check(count <= MAX_BLOCK_VALUES, f"{count} cut strings")
    sequence = cursor.varint()
    check(sequence == block.header.sequence + 1, f"cut strings of block {sequence} in block {block.header.sequence}")
    numbers = cursor.column(count)
    cursor.end()
    check(all(a < b for a, b in itertools.pairwise(numbers)), "numbers of cut strings that do not ascend")
    check(not numbers or numbers[-1] < MAX_BLOCK_VALUES, "the number of a cut string above the limit")
    block.part.cuts[sequence] = frozenset(numbers)


def read_index(block, content):
    rows = block.header.count
    check(rows <= (block.end - block.part.start) // BLOCK_HEADER.size, f"{rows} index rows")
    cursor = Cursor(content)
    plane = cursor.plane(rows * INDEX_ROW.size)
    cursor.end()
    block.part.index = [IndexRow(*fields) for fields in INDEX_ROW.iter_unpack(plane)]


def read_footer(block, content):
    (footer,) = read_rows(block, content, FOOTER, lambda *fields: fields)
    check(footer[-1] == TRAILER and block.header.count == 1, "no trailer at its end")
    block.part.footer = Footer(*footer[:-1])


def check_ends(walk, part):
    """Holds index and footer of a part without damage between its blocks against them."""
    footer = part.footer
    *blocks, last = part.blocks

    def agree(what, says, found):
        if says != found:
            walk.problem(last.at, f"the {what} says {says}, found {found}")

    agree("footer's trace_bytes", footer.trace_bytes, last.end - part.start)
    agree("footer's events", footer.events, sum(it.header.count for it in blocks if it.header.kind == EVENTS))
    agree("footer's dropped", footer.dropped, sum(gap.count for gap in part.gaps))
    index = blocks.pop() if blocks and blocks[-1].header.kind == INDEX else None
    agree("footer's index_offset", footer.index_offset, index.at - part.start if index else 0)
    restated = list(
        itertools.takewhile(
            lambda it: it.header.flags & RESTATED and it.at - part.start >= footer.restated_offset,
            reversed(blocks),
        )
    )
    behind = index or last
    agree("footer's restated_offset", footer.restated_offset, (restated or [behind])[-1].at - part.start)
    known = all(it.header.kind in (DEFINITIONS, GAPS, CLOCKS) for it in restated)
    agree("kinds of the restated blocks", True, known)
    if part.index is None:
        return
    listed = blocks[: len(blocks) - len(restated)]
    agree("number of index rows", len(part.index), len(listed))
    for row, block in zip(part.index, listed):
        header = {name: getattr(block.header, name) for name in IndexRow._fields[1:]}
        agree("index row", row, IndexRow(block.at - part.start, **header))


# --- Events (5.6) ---


class Events:
    """The events of a block, column by column; `values[s][a]` has the values of argument a of the s-th site."""

    def __init__(self, block, content):
        self.header = block.header
        self.count = self.header.count
        check(self.count <= MAX_BLOCK_EVENTS, f"{self.count} events")
        cursor = Cursor(content)
        self.thread_ids = cursor.column(cursor.count(self.count, "threads"))
        self.site_ids = cursor.column(cursor.count(self.count, "sites"))
        self.threads = cursor.column(self.count)
        check(max(self.threads, default=-1) < len(self.thread_ids), "an event of a thread that is not in the block")
        self.sites = self.read_sites(cursor)
        self.site_events = Counter(self.sites)
        self.cpus = self.read_cpus(cursor)
        self.read_columns_of_sites(cursor)
        self.unreadable = self.read_unreadable(cursor)
        self.strings = self.read_strings(cursor)
        self.cuts = frozenset()
        if self.header.flags & CUT:
            self.cuts = block.part.cuts.get(self.header.sequence, frozenset(range(len(self.strings))))
        cursor.end()
        self.check_definitions(block.part.definitions)
        self.check_order()
        self.check_keys()

    def gather_times(self, differences):
        of_site = [iter(it) for it in differences]
        times = [next(of_site[site]) for site in self.sites]
        check(not times or times[0] == 0, "the first event is not at first_ns")
        times = list(itertools.accumulate(times, initial=self.header.first_ns))[1:]
        check(not times or times[-1] == self.header.last_ns, "the last event is not at last_ns")
        return times

    def read_sites(self, cursor):
        total = len(self.site_ids)
        last = [0] * len(self.thread_ids)
        following = [0] * total
        sites = []
        for thread, code in zip(self.threads, cursor.column(self.count)):
            before = last[thread]
            site = code - 1 if code else following[before]
            check(site < total, "an event of a site that is not in the block")
            following[before] = last[thread] = site
            sites.append(site)
        return sites

    def read_cpus(self, cursor):
        current = [0] * len(self.thread_ids)
        cpus = []
        for thread, code in zip(self.threads, cursor.column(self.count)):
            if code:
                current[thread] = code - 1
            cpus.append(current[thread])
        check(max(cpus, default=0) <= 0xFFFF, "a processor of more than 16 bits")
        return cpus

    def read_columns_of_sites(self, cursor):
        """Times and values of arguments."""
        differences, columns, predictors, total = [], [], [], 0
        for site in range(len(self.site_ids)):
            differences.append(cursor.column(self.site_events[site]))
            arguments = cursor.byte()
            check(arguments <= MAX_ARGUMENTS, f"{arguments} arguments")
            total += arguments * self.site_events[site]
            check(total <= MAX_BLOCK_VALUES, "too many argument values")
            columns.append([])
            predictors.append(PLAIN_VALUES)
            for argument in range(arguments):
                predictor = cursor.byte()
                check(predictor <= (SITE_VALUES if argument else THREAD_VALUES), f"predictor {predictor}")
                start = unzigzag(cursor.varint()) & U64 if predictor == SITE_VALUES else 0
                numbers = cursor.column(self.site_events[site])
                if predictor == SITE_VALUES:
                    numbers = list(itertools.accumulate(numbers, add_difference, initial=start))[1:]
                predictors[site] = predictors[site] if argument else predictor
                columns[site].append(numbers)
        if THREAD_VALUES in predictors:
            self.add_by_thread(columns, predictors)
        self.times, self.values = self.gather_times(differences), columns

    def add_by_thread(self, columns, predictors):
        first = [self.header.key_min & U64] * len(self.thread_ids)
        seen = [0] * len(self.site_ids)
        for thread, site in zip(self.threads, self.sites):
            if columns[site]:
                numbers, place = columns[site][0], seen[site]
                seen[site] = place + 1
                if predictors[site] == THREAD_VALUES:
                    numbers[place] = add_difference(first[thread], numbers[place])
                first[thread] = numbers[place]

    def read_unreadable(self, cursor):
        """For each site, the masks of its events that have unreadable arguments, by their place among its events."""
        rows = cursor.count(self.count, "events with unreadable arguments")
        numbers, masks = cursor.column(rows), cursor.column(rows)
        check(all(a < b for a, b in itertools.pairwise(numbers)), "numbers of events that do not ascend")
        check(not numbers or numbers[-1] < self.count, "the number of an event that is not in the block")
        by_row = dict(zip(numbers, masks))
        unreadable = [{} for _ in self.site_ids]
        seen = [0] * len(self.site_ids)
        for row, site in enumerate(self.sites if by_row else ()):
            if row in by_row:
                unreadable[site][seen[site]] = by_row[row]
            seen[site] += 1
        return unreadable

    def read_strings(self, cursor):
        lengths = cursor.column(cursor.count(MAX_BLOCK_VALUES, "strings"))
        check(max(lengths, default=0) <= MAX_STRING_ARGUMENT_BYTES, f"a string of {max(lengths, default=0)} bytes")
        ends = list(itertools.accumulate(lengths, initial=0))
        check(ends[-1] <= MAX_BLOCK_STRING_BYTES, f"{ends[-1]} bytes of strings")
        joined = cursor.plane(ends[-1])
        return [joined[start:end] for start, end in itertools.pairwise(ends)]

    def check_definitions(self, definitions):
        for thread in self.thread_ids:
            check(thread in definitions[THREAD], f"thread {thread} is not defined")
            process = definitions[THREAD][thread]["process"]
            check(process in definitions[PROCESS], f"process {process} is not defined")
        for site, columns in zip(self.site_ids, self.values):
            check(site in definitions[SITE], f"site {site} is not defined")
            arguments = len(definitions[SITE][site]["args"])
            check(len(columns) == arguments, f"{len(columns)} arguments of site {site}, which has {arguments}")
        threads = (definitions[THREAD][it] for it in self.thread_ids)
        self.processes = [definitions[PROCESS][it["process"]] for it in threads]
        self.site_definitions = [definitions[SITE][it] for it in self.site_ids]

    def check_order(self):
        order = list(zip(self.times, self.cpus))
        check(all(a <= b for a, b in itertools.pairwise(order)), "events of one time not in the order of processors")

    def check_keys(self):
        lowest, highest = [], []
        for site, columns, unreadable in zip(self.site_definitions, self.values, self.unreadable):
            argument = key_argument(site)
            if argument is not None and columns[argument]:
                keys = columns[argument]
                if unreadable:
                    keys = [it for place, it in enumerate(keys) if not unreadable.get(place, 0) >> argument & 1]
                signed = [as_signed(it) for it in keys]
                lowest += [min(signed)] if signed else []
                highest += [max(signed)] if signed else []
        found = (min(lowest), max(highest)) if lowest else (0, -1)
        says = (self.header.key_min, self.header.key_max)
        check(found == says, f"keys from {found[0]} to {found[1]}, header says {says[0]} to {says[1]}")


def key_argument(site):
    """The number of the argument that is the key, if it is an integer."""
    key, args = site["key_arg"], site["args"]
    is_integer = key < len(args) and args[key] in ARGUMENT_KINDS and args[key] & 0xF0 in (UNSIGNED, SIGNED)
    return key if is_integer else None


# --- The log ---

# Controls, separators of lines, and characters without width or that change the direction of text.
DECEPTIVE = re.compile(
    "[\\\\\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
# Joiners that belong to the spelling: between letters of scripts that join, and between emoji.
LETTERS, EMOJI = "\u0620-\u064a\u066e-\u06d3\u06fa-\u074f\u0900-\u0dff", "\u2190-\u2bff\U0001f000-\U0001faff"
JOINER = re.compile(f"(?<=[{LETTERS}])[\u200c\u200d](?=[{LETTERS}])|(?<=[{EMOJI}\ufe0f])\u200d(?=[{EMOJI}])")
SHORT_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def escape_character(character):
    code = ord(character)
    return SHORT_ESCAPES.get(character) or (f"\\x{code:02x}" if code < 0x80 else f"\\u{{{code:x}}}")


def escape(text, special=""):
    """Escapes what could drive or deceive a terminal, and the characters `special`."""
    is_spelling = lambda found: JOINER.match(text, found.start())
    escaped = DECEPTIVE.sub(lambda found: found[0] if is_spelling(found) else escape_character(found[0]), text)
    for character in special:
        escaped = escaped.replace(character, escape_character(character))
    return escaped


def program_text(program):
    kept = program.rstrip(" ")
    return escape(kept, "|") + "\\x20" * (len(program) - len(kept))


def probe_text(name):
    return escape(name, " :|")


def name_text(site):
    return f"{probe_text(site['provider'])}:{probe_text(site['probe'])}"


def string_text(string, is_cut):
    """A string in quotes; bytes that are not UTF-8, which Python turns into surrogates, as two digits."""
    text = escape(string.decode(errors="surrogateescape")).replace('"', '\\"')
    end = '\\..."' if is_cut else '"'
    return '"' + re.sub("[\udc80-\udcff]", lambda found: f"\\x{ord(found[0]) - 0xdc00:02x}", text) + end


def float_text(number):
    """The shortest digits that are read back the same, with a point or an exponent."""
    if number != number:
        return "NaN"
    mantissa, exponent, power = repr(number).partition("e")
    return mantissa.removesuffix(".0") + f"e{int(power)}" if exponent else mantissa


def value_texts(kind, column, events):
    """The texts of values of an argument of one kind."""
    if kind not in ARGUMENT_KINDS:
        return ["?"] * len(column)
    if kind & 0xF0 == UNSIGNED:
        return [str(it) for it in column]
    if kind & 0xF0 == SIGNED:
        return [str(as_signed(it)) for it in column]
    if kind & 0xF0 == FLOAT:
        layout, bits = ("<f", 0xFFFF_FFFF) if kind == 0x24 else ("<d", U64)
        size = struct.calcsize(layout)
        return [float_text(*struct.unpack(layout, (it & bits).to_bytes(size, "little"))) for it in column]
    strings, cuts = events.strings, events.cuts
    return [string_text(strings[it], it in cuts) if it < len(strings) else "?" for it in column]


def site_texts(events, place):
    """What stands behind the process in the line of each event of the site at `place`."""
    site, columns = events.site_definitions[place], events.values[place]
    texts = [value_texts(kind, column, events) for kind, column in zip(site["args"], columns)]
    for event, mask in events.unreadable[place].items():
        for argument, column in enumerate(texts):
            if mask >> argument & 1:
                column[event] = "?"
    key = key_argument(site)
    keys = ["-"] * events.site_events[place] if key is None else texts[key]
    columns = [keys] + [
        [f" | arg{number}: {text}" for text in column] for number, column in enumerate(texts) if number != key
    ]
    start = f"{name_text(site):<30} | Seq: "
    return [start + "".join(row) + "\n" for row in zip(*columns)]


def process_text(process):
    return f"] [PID:{process['pid']:>7}] {program_text(process['program']):<12} "


def event_lines(events, at):
    """Yields time, processor, position, row and line of each event."""
    processes = [process_text(it) for it in events.processes]
    texts = [iter(site_texts(events, place)) for place in range(len(events.site_ids))]
    rows = zip(events.times, events.cpus, events.threads, events.sites)
    for row, (time, cpu, thread, site) in enumerate(rows):
        yield time, cpu, at, row, f"[{time:>16}{processes[thread]}{next(texts[site])}"


def merged_lines(walk):
    """Yields time and line of every event, in the order of 8.6."""
    blocks = [it for part in walk.parts for it in part.blocks if it.header.kind == EVENTS]
    blocks.sort(key=lambda it: (it.header.first_ns, it.at), reverse=True)
    opened = []
    while blocks or opened:
        while blocks and (not opened or blocks[-1].header.first_ns <= opened[0][0][0]):
            block = blocks.pop()
            events = with_damage(walk, block, Events)
            if events and events.count:
                lines = event_lines(events, block.at)
                heapq.heappush(opened, (next(lines), lines))
        if opened:
            head, lines = opened[0]
            yield head[0], head[-1]
            head = next(lines, None)
            if head:
                heapq.heapreplace(opened, (head, lines))
            else:
                heapq.heappop(opened)


def gap_lines(walk):
    """End and line of every gap, in the order of their ends."""
    gaps = [
        (gap.to_ns, gap.from_ns, place, gap.host, gap.site, gap.cpu, gap.count)
        for place, part in enumerate(walk.parts)
        for gap in part.gaps
    ]
    for to_ns, from_ns, place, _host, site, cpu, count in sorted(gaps):
        site = walk.parts[place].definitions[SITE].get(site)
        of = f" of {name_text(site)}" if site else ""
        on = f" on CPU {cpu}" if cpu != UNKNOWN_CPU else ""
        yield to_ns, f"[{to_ns:>16}] Lost {count} events{of}{on} since {from_ns}\n"


def found_lines(walk):
    """The lines about announced probes, each with the time behind which it stands; 0 in the header."""
    sites = [it for part in walk.parts for _id, it in sorted(part.definitions[SITE].items()) if it["announced"]]
    # The sort is stable: sites found at one time keep their order.
    sites.sort(key=lambda it: it["announced"] if it["announced"] > 1 else 0)
    found = {}
    for it in sites:
        time = it["announced"] if it["announced"] > 1 else 0
        # A site without a provider is like no other.
        found.setdefault((it["provider"] or object(), it["probe"], it["program"]), time)
    for number, ((_provider, probe, program), time) in enumerate(found.items()):
        yield time, f"[{number:>4}] Found probe {probe_text(probe):<35} in '{program_text(program)}'\n"


def log(walk):
    """Yields the lines of the log."""
    found = list(found_lines(walk))
    header = [line for time, line in found if time == 0]
    yield from header
    if header:
        yield "\nTrace started. Ctrl-C to stop.\n\n"
    late = [(time, 0, line) for time, line in found if time]
    late += [(time, 1, line) for time, line in gap_lines(walk)]
    waiting = iter(sorted(late, key=lambda it: it[:2]))
    next_late = next(waiting, None)
    for time, line in merged_lines(walk):
        while next_late and next_late[0] < time:
            yield next_late[2]
            next_late = next(waiting, None)
        yield line
    if next_late:
        yield next_late[2]
    yield from (line for _time, _kind, line in waiting)


# --- All the rest as JSON ---


def as_json(walk, events):
    """What the file holds, without the events, and what is wrong with it."""
    return {
        "bytes": len(walk.data),
        "parts": [part_as_json(part) for part in walk.parts],
        "events": events,
        "dropped": sum(part.dropped() for part in walk.parts),
        "problems": [{"at": at, "problem": text} for at, text in walk.problems],
    }


def part_as_json(part):
    return {
        "start": part.start,
        "trace_id": part.trace_id,
        "has_file_header": part.has_header,
        "definitions": {
            DEFINITION_KINDS[kind][0]: {number: hex_bytes(it) for number, it in sorted(made.items())}
            for kind, made in part.definitions.items()
        },
        "blocks": [{"at": it.at, "name": it.name, **it.header._asdict()} for it in part.blocks],
        "gaps": [it._asdict() for it in part.gaps],
        "clocks": [it._asdict() for it in part.anchors],
        "index": None if part.index is None else [it._asdict() for it in part.index],
        "footer": part.footer and part.footer._asdict(),
    }


def hex_bytes(definition):
    return {name: it.hex() if isinstance(it, bytes) else it for name, it in definition.items()}


# --- The program ---


def read(data):
    """Walks the blocks and reads all of them but events."""
    walk = Walk(data)
    definitions = functools.partial(read_definitions, walk)
    readers = {DEFINITIONS: definitions, GAPS: read_gaps, CLOCKS: read_clocks, INDEX: read_index, CUTS: read_cuts}
    for part in walk.parts:
        for block in part.blocks:
            if block.header.kind in readers:
                with_damage(walk, block, readers[block.header.kind])
        part.settle()
        if not part.footer:
            walk.problem(part.start, "incomplete: this part has no footer; its recorder is at work or died")
        elif part.is_whole:
            check_ends(walk, part)
    return walk


def run(words):
    """What the words of the command line ask for; the exit code."""
    parser = argparse.ArgumentParser(description="Prints the log of a trace, as `tracer replay` does.")
    parser.add_argument("--json", action="store_true", help="print what else the file holds, as JSON")
    parser.add_argument("trace", help="a trace, or - for standard input")
    arguments = parser.parse_args(words[1:])
    try:
        with open(0 if arguments.trace == "-" else arguments.trace, "rb") as file:
            walk = read(file.read())
    except OSError as cause:
        return fail(f"{arguments.trace}: {cause.strerror}")
    except NotATrace as cause:
        return fail(f"{arguments.trace}: {cause}")
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    try:
        if arguments.json:
            events = sum(1 for _ in merged_lines(walk))
            print(json.dumps(as_json(walk, events), indent=1))
        else:
            sys.stdout.writelines(log(walk))
        sys.stdout.flush()
    except OSError as cause:
        # What is still buffered goes nowhere, so that Python does not complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0 if isinstance(cause, BrokenPipeError) else fail(f"standard output: {cause.strerror}")
    return report(walk, arguments.trace)


def skipped_text(skipped):
    """Something that was not recorded, as far as it is known which."""
    what = {1: "sites", 2: "files", 3: "processes", 4: "events"}.get(skipped["what"], f"kind {skipped['what']}")
    known = [f"{field} {escape(str(it))}" for field, it in skipped.items() if it and field not in ("what", "reason")]
    return f"{what}: {', '.join(known)}: {escape(skipped['reason'])}"


def fail(text):
    print(f"read_trace.py: {text}", file=sys.stderr)
    return 1


def report(walk, name):
    """Says what is missing; the exit code."""
    dropped = sum(part.dropped() for part in walk.parts)
    problems = sorted(walk.problems)
    for at, text in problems[:MAX_SHOWN]:
        print(f"read_trace.py: {name}: byte {at}: {text}", file=sys.stderr)
    if len(problems) > MAX_SHOWN:
        print(f"read_trace.py: {name}: {len(problems) - MAX_SHOWN} more", file=sys.stderr)
    if dropped:
        print(f"read_trace.py: {name}: {dropped} events were dropped while recording", file=sys.stderr)
    skipped = [it for part in walk.parts for _id, it in sorted(part.definitions[SKIPPED].items())]
    for it in skipped[:MAX_SHOWN]:
        print(f"read_trace.py: {name}: not recorded: {skipped_text(it)}", file=sys.stderr)
    if len(skipped) > MAX_SHOWN:
        print(f"read_trace.py: {name}: {len(skipped) - MAX_SHOWN} more", file=sys.stderr)
    return 3 if problems or dropped or skipped else 0


if __name__ == "__main__":
    sys.exit(run(sys.argv))
