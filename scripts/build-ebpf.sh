#!/usr/bin/env bash
# Builds the eBPF object that the recorder embeds, ebpf-probes/probes.bpf.o, or checks that it comes from its source.
# usage: scripts/build-ebpf.sh [--install] [--check] [-o FILE]
#   --check     rebuild in an empty folder and compare with the committed bytes; installs what is missing
#   --install   install what is missing (Debian packages, bpf-linker), then build
#   -o FILE     write there instead
#
# The committed bytes come from one toolchain: Debian 12's rustc-web 1.96 with rust-web-src, and bpf-linker 0.13.0 with
# llvm-22. Another compiler makes another object, which works as well, but is not what --check expects. Where the pinned
# toolchain is missing, rustup's nightly with rust-src builds too, for work on the program.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/scripts/install.sh"

rust_version=1.96.0
linker_version=0.13.0
llvm=/usr/lib/llvm-22
source_folder=$root/ebpf-probes
object=$source_folder/probes.bpf.o
export PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$llvm/bin:$PATH

has_pinned_rust() {
  [[ -x /usr/bin/cargo && -d /usr/src/rustc-$rust_version ]] || return 1
  [[ $(/usr/bin/rustc --version 2>/dev/null) == "rustc $rust_version "* ]]
}

has_linker() { [[ $(bpf-linker --version 2>/dev/null) == "bpf-linker $linker_version" && -x $llvm/bin/llvm-objcopy ]]; }

install_toolchain() {
  has_pinned_rust || install_packages rustc-web cargo-web rust-web-src
  has_linker && return
  install_packages llvm-22 llvm-22-dev libpolly-22-dev build-essential pkg-config libzstd-dev zlib1g-dev
  has_linker && return
  # The Debian cargo, whatever else is in the PATH: it is there now, and new enough.
  LLVM_SYS_221_PREFIX=$llvm LLVM_PREFIX=$llvm RUSTC=/usr/bin/rustc \
    /usr/bin/cargo install --quiet --locked --force --version "$linker_version" --no-default-features --features llvm-22 bpf-linker
}

# build FOLDER FILE: builds the source in FOLDER with the pinned toolchain, or nightly if that is missing.
build() {
  local folder=$1 file=$2 target
  target=$(mktemp -d)
  if ! has_linker; then
    echo "bpf-linker $linker_version with llvm-22 is missing; run $0 --install" >&2
    return 1
  elif has_pinned_rust; then
    (cd "$folder" && RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$target \
      /usr/bin/cargo build --quiet --release --locked)
  elif rustup component list --toolchain nightly 2>/dev/null | grep -q 'rust-src (installed)'; then
    echo "rustc-web $rust_version is missing; building with nightly: --check will find other bytes" >&2
    (cd "$folder" && CARGO_TARGET_DIR=$target cargo +nightly build --quiet --release --locked)
  else
    echo "neither rustc-web $rust_version with its source nor nightly with rust-src; run $0 --install" >&2
    return 1
  fi
  # No section for debugging: it would hold the paths of this machine.
  llvm-objcopy --strip-debug "$target/bpfel-unknown-none/release/probes" "$file"
  rm -r "$target"
}

# check: builds a copy of the source elsewhere, so that a path in the object would show.
check() {
  local work
  install_toolchain
  work=$(mktemp -d)
  cp -r "$source_folder" "$work/source"
  rm "$work/source/probes.bpf.o"
  build "$work/source" "$work/probes.bpf.o"
  if ! cmp "$work/probes.bpf.o" "$object"; then
    echo "probes.bpf.o is not what its source gives with:" >&2
    { /usr/bin/rustc --version; bpf-linker --version; "$llvm/bin/llvm-config" --version; } >&2
    echo "run scripts/build-ebpf.sh and commit the object" >&2
    rm -r "$work"
    return 1
  fi
  rm -r "$work"
  echo "probes.bpf.o comes from its source ($(stat -c %s "$object") bytes)"
}

checking=false
while [[ $# -gt 0 ]]; do
  case $1 in
    --check) checking=true ;;
    --install) install_toolchain ;;
    -o)
      object=${2:?"-o: a file is expected"}
      shift
      ;;
    *)
      sed -n '2,6s/^# //p' "${BASH_SOURCE[0]}" >&2
      exit 2
      ;;
  esac
  shift
done
if $checking; then check; else build "$source_folder" "$object"; fi
