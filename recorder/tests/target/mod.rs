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

/// Compiles a C source into `folder/name`.
pub(crate) fn compile(folder: &Folder, name: &str, source: &str, options: &[&str]) -> PathBuf {
    let (input, output) = (folder.0.join(format!("{name}.c")), folder.0.join(name));
    std::fs::write(&input, source).unwrap();
    let status =
        Command::new("cc").arg("-O2").arg(&input).arg("-o").arg(&output).args(options).status().unwrap();
    assert!(status.success(), "cc {name}");
    output
}
