//! Programs with probes, compiled for a test from C and `sys/sdt.h`.

use std::path::PathBuf;
use std::process::Command;

/// A folder of a test's own, removed at the end.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tracer-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Whether the machine can compile a program with probes; says on standard error if not.
///
/// # Panics
/// If it cannot although `TRACER_LIVE` is set, as it is in the gate.
pub(crate) fn can_compile() -> bool {
    let can = runs("readelf", &["--version"])
        && runs("cc", &["-fsyntax-only", "-include", "sys/sdt.h", "-xc", "/dev/null"]);
    can || skip("needs cc, readelf and sys/sdt.h (apt install gcc binutils systemtap-sdt-dev)")
}

/// Says that a test is skipped, or fails where nothing may be.
pub(crate) fn skip(why: &str) -> bool {
    assert!(std::env::var_os("TRACER_LIVE").is_none(), "{why}");
    eprintln!("skipped: {why}");
    false
}

fn runs(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

/// Compiles a C source into `folder/name`.
pub(crate) fn compile(folder: &Folder, name: &str, source: &str, options: &[&str]) -> PathBuf {
    let (input, output) = (folder.0.join(format!("{name}.c")), folder.0.join(name));
    std::fs::write(&input, source).unwrap();
    let status =
        Command::new("cc").arg("-O2").arg(&input).arg("-o").arg(&output).args(options).status().unwrap();
    assert!(status.success(), "cc {name}");
    output
}
