//! Writes what the fuzzer begins with: `seeds FOLDER TRACE...` makes FOLDER/TARGET/NAME.

#[path = "../../../recorder/tests/fixture/mod.rs"]
mod fixture;

// What the compiler was told to count is counted there.
use libfuzzer_sys as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use tracer_format::block::{BLOCK_HEADER_BYTES, BlockHeader, kind};
use tracer_format::{Found, Scanner};

fn main() -> io::Result<()> {
    let mut args = env::args_os().skip(1).map(PathBuf::from);
    let folder = args.next().expect("a folder");
    for (number, trace) in args.enumerate() {
        let bytes = fs::read(&trace)?;
        write(&folder, "read", &number.to_string(), &bytes)?;
        let mut scanner = Scanner::default();
        while let Ok(Some(found)) = scanner.next(&bytes) {
            if let Found::Block { offset, header } = found
                && header.kind == kind::EVENTS
            {
                let content = &bytes[offset + BLOCK_HEADER_BYTES..offset + header.block_bytes()];
                let input = [&facts(&header), content].concat();
                write(&folder, "block", &format!("{number}-{offset}"), &input)?;
            }
        }
        let log = trace.with_extension("txt");
        if let Ok(log) = fs::read(log) {
            // The first lines of each kind: a fuzzer has more from short inputs.
            let lines: Vec<&[u8]> = log.split_inclusive(|&byte| byte == b'\n').take(20).collect();
            write(&folder, "log", &number.to_string(), &lines.concat())?;
        }
    }
    let parts = fixture::Parts::default();
    write(&folder, "elf", "notes", &parts.notes)?;
    write(&folder, "elf", "file", &fixture::elf(&parts))?;
    for (number, spec) in SPECS.iter().enumerate() {
        write(&folder, "argument", &number.to_string(), spec.as_bytes())?;
    }
    for (number, stage) in STAGES.iter().enumerate() {
        write(&folder, "stage", &number.to_string(), stage.as_bytes())?;
    }
    Ok(())
}

/// The numbers that the target `block` takes from the front of its input.
fn facts(header: &BlockHeader) -> Vec<u8> {
    let (first_ns, last_ns) = (header.first_ns.get(), header.last_ns.get());
    let count = header.count.get().to_le_bytes();
    // Only the distance between the times has to be right.
    let range_ns = u32::try_from(last_ns - first_ns).unwrap_or(u32::MAX).to_le_bytes();
    [&count[..2], &[0; 4], &range_ns].concat()
}

fn write(folder: &Path, target: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
    let folder = folder.join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(format!("seed-{name}")), bytes)
}

const SPECS: &[&str] = &[
    "-8@%rdi 4@$-1 1@%ah 2@%r9w",
    "8@-40(%rbp,%rcx,4) -4@counter(%rip) 8@40+table(%rip)",
    "8f@%xmm3 4@(%rax) 8@0x10(,%rbx,8)",
    "8@x3 -4@[sp, 16] 4@[x2, x3, lsl 2] 8@5",
];

const STAGES: &[&str] = &[
    "total = camera:grab -> display:show by seq",
    "x = a:b -> a:c by arg2,pid,tid",
    "a:beg_x\na:end_x\nb:beg_x\nb:end_x",
    "a:x__start\na:x__done\na:y_start\na:y_stop\na:z__entry\na:z__return",
];
