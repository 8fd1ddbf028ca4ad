# shellcheck shell=bash
# Installing Debian packages by name, with or without root; to be sourced.

# as_root COMMAND...: runs a command as root, with sudo where this is not root already.
as_root() {
  if [[ $(id -u) == 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    echo "this needs root: $*; run as root or install sudo" >&2
    return 1
  fi
}

# install_packages PACKAGE...: installs packages, quiet unless it fails.
install_packages() {
  local log
  log=$(mktemp)
  echo "installing: $*" >&2
  if ! { as_root apt-get update -q && as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -qy --no-install-recommends "$@"; } >"$log" 2>&1; then
    cat "$log" >&2
    rm "$log"
    return 1
  fi
  rm "$log"
}

# need PROGRAM PACKAGE...: installs the packages if the program is missing.
need() {
  local program=$1
  shift
  command -v "$program" >/dev/null || install_packages "$@"
}

# need_rust: installs a Rust toolchain if there is none that the workspace accepts.
need_rust() {
  local wanted found
  wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$(dirname "${BASH_SOURCE[0]}")/../Cargo.toml")
  if command -v cargo >/dev/null; then
    found=$(rustc --version | cut -d' ' -f2)
    [[ $(printf '%s\n' "$wanted" "$found" | sort -V | head -n1) == "$wanted" ]] && return
    if command -v rustup >/dev/null; then
      echo "rustc is $found, expected $wanted or newer; run rustup update" >&2
      return 1
    fi
  fi
  # Debian 12's newer toolchain; it replaces the packages cargo and rustc.
  install_packages cargo-web rustc-web
}
