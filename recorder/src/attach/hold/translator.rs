//! Programs that run other programs by translating their code: Valgrind, QEMU's user mode, Pin, DynamoRIO, rr and the like.
//!
//! They read the code of what they run, and with it the breakpoints that stand for probes, which they do not understand: what they
//! run dies of SIGTRAP.

use std::path::Path;

/// Beginnings of names of programs that translate.
const NAMES: [&str; 8] =
    ["qemu-", "pinbin", "libdynamorio.so", "box64", "box86", "FEXInterpreter", "FEXLoader", "rr"];

/// Beginnings of names of QEMU's programs that translate nothing from a file of this machine.
const OTHERS: [&str; 8] = [
    "qemu-system-",
    "qemu-img",
    "qemu-nbd",
    "qemu-io",
    "qemu-ga",
    "qemu-pr-helper",
    "qemu-storage-daemon",
    "qemu-bridge",
];

/// Whether the program at `path` translates others.
pub(crate) fn is_translator(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    // Valgrind's tools: `/usr/libexec/valgrind/memcheck-amd64-linux`.
    let is_tool = name.ends_with("-linux")
        && path.parent().is_some_and(|folder| folder.to_string_lossy().contains("valgrind"));
    is_tool
        || NAMES.iter().any(|begin| match *begin {
            "rr" => name == "rr",
            begin => name.starts_with(begin),
        }) && !OTHERS.iter().any(|begin| name.starts_with(begin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn translators_are_known_by_their_names() {
        for path in [
            "/usr/libexec/valgrind/memcheck-amd64-linux",
            "/opt/lib/valgrind/callgrind-x86-linux",
            "/usr/bin/qemu-x86_64",
            "/usr/bin/qemu-aarch64-static",
            "/opt/pin/intel64/bin/pinbin",
            "/usr/bin/rr",
        ] {
            assert!(is_translator(Path::new(path)), "{path}");
        }
        for path in
            ["/usr/bin/qemu-system-x86_64", "/usr/bin/rrdtool", "/usr/bin/valgrind", "/usr/bin/gdb", "/", ""]
        {
            assert!(!is_translator(Path::new(path)), "{path}");
        }
    }
}
