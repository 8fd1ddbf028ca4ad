//! Presets: those in the binary, and the user's own.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tracer_analyzer::stage::{PRESETS, Preset};
use tracer_format::grammar::nearest;

use super::input::name;

/// Bytes that a file with stages, or with a preset, may have: the parser keeps up to a hundred times as much.
const MAX_BYTES: u64 = 1 << 18;

/// The text of a file that holds stages or a preset.
pub(crate) fn text(path: &Path) -> anyhow::Result<String> {
    let read = || -> anyhow::Result<String> {
        let mut bytes = Vec::new();
        File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_BYTES {
            bail!("larger than {MAX_BYTES} bytes, which no file with stages is");
        }
        Ok(String::from_utf8(bytes)?)
    };
    read().with_context(|| name(path))
}

/// The preset that `--preset` names: a file if it is a path or ends with `.toml`, else the user's of that name, else the one in
/// the binary.
pub(crate) fn find(wanted: &str) -> anyhow::Result<Preset> {
    let (text, place) = source(wanted)?;
    Preset::parse(&text).with_context(|| place)
}

/// The text of a preset, and where it stands.
pub(crate) fn source(wanted: &str) -> anyhow::Result<(String, String)> {
    let path = Path::new(wanted);
    if wanted.contains('/') || path.extension().is_some_and(|end| end == "toml") {
        return Ok((text(path)?, name(path)));
    }
    if let Some((_, path)) = own().into_iter().find(|(own, _)| own == wanted) {
        return Ok((text(&path)?, name(&path)));
    }
    match PRESETS.iter().find(|(known, _)| *known == wanted) {
        Some((_, text)) => Ok(((*text).to_owned(), format!("preset {wanted}"))),
        None => {
            let own = own();
            let names = PRESETS.iter().map(|(name, _)| *name).chain(own.iter().map(|(name, _)| &name[..]));
            bail!(
                "--preset {wanted}: there is no such preset{}; see tracer list --presets",
                nearest(wanted, names)
            )
        }
    }
}

/// The user's presets: files NAME.toml in the folder for them, by name.
pub(crate) fn own() -> Vec<(String, PathBuf)> {
    let Some(files) = folder().and_then(|folder| std::fs::read_dir(folder).ok()) else { return Vec::new() };
    let preset = |path: PathBuf| {
        let is_toml = path.extension().is_some_and(|end| end == "toml");
        let name = path.file_stem().filter(|_| is_toml)?.to_str()?.to_owned();
        Some((name, path))
    };
    let mut own: Vec<_> = files.filter_map(|file| preset(file.ok()?.path())).collect();
    own.sort();
    own
}

/// `$XDG_CONFIG_HOME/tracer/presets`, or `~/.config/tracer/presets`.
fn folder() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let config = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
    Some(config.join("tracer/presets"))
}
