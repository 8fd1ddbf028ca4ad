#!/usr/bin/env bash
# Makes what users install: a static program that runs on any distribution, as a .tar.gz and as a .deb with a manual page for
# every verb, completions for bash, zsh and fish, and the licences of all that is linked in. Then checks the package: its fields
# and files, by lintian if that is installed, and by installing it in a folder of its own and removing it again.
# usage: scripts/package.sh [--bin TRACER] [--out FOLDER] [--prove]
#   --bin     packs this program instead of building a static one
#   --out     folder for the packages; default: target/dist
#   --prove   boots the program in machines with nothing else: it reads a trace as the first process, and passes the trials of
#             scripts/kernels.sh on the newest kernel
# Needs Debian 12 or the like; installs what it needs. TRACER_PROFILE=dev builds faster and runs slower. Exit code 0 only if every check passed.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/scripts/install.sh"
source "$root/scripts/package/checks.sh"

target=${CARGO_TARGET_DIR:-$root/target}
profile=${TRACER_PROFILE:-release} bin='' out=$target/dist prove=''
while [[ $# -gt 0 ]]; do
  case $1 in
    --bin) bin=$(realpath "${2:?"--bin: a program is expected"}") && shift ;;
    --out) out=$(realpath -m "${2:?"--out: a folder is expected"}") && shift ;;
    --prove) prove=yes ;;
    *)
      sed -n '2,10s/^# //p' "${BASH_SOURCE[0]}" >&2
      exit 2
      ;;
  esac
  shift
done

version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$root/Cargo.toml")
maintainer=${TRACER_MAINTAINER:-$(git -C "$root" log -1 --format='%an <%ae>' 2>/dev/null || echo 'tracer <root@localhost>')}
# What is made of one commit is the same, whenever it is made.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022

# static PROFILE: builds the program with the C library linked in.
static() {
  need_rust
  need cc build-essential
  cargo rustc --profile "$1" --locked --manifest-path "$root/Cargo.toml" --package tracer --bin tracer \
    -- -C target-feature=+crt-static
}

# share FOLDER: manual pages, completions and licences, below FOLDER.
share() {
  local verb page
  mkdir -p "$1"/man/man1 "$1"/bash-completion/completions "$1"/zsh/vendor-completions "$1"/fish/vendor_completions.d "$1"/doc/tracer
  "$bin" man | gzip -9n >"$1/man/man1/tracer.1.gz"
  for verb in $(verbs "$bin"); do
    page=$("$bin" man "$verb")
    gzip -9n <<<"$page" >"$1/man/man1/tracer-$verb.1.gz"
  done
  "$bin" completions bash >"$1/bash-completion/completions/tracer"
  "$bin" completions zsh >"$1/zsh/vendor-completions/_tracer"
  "$bin" completions fish >"$1/fish/vendor_completions.d/tracer.fish"
  python3 "$root/scripts/package/notices.py" "$root" | gzip -9n >"$1/doc/tracer/third-party.gz"
}

# archive: the .tar.gz.
archive() {
  local name=tracer-$version-x86_64-linux
  mkdir -p "$work/$name/bin"
  cp "$work/tracer" "$work/$name/bin/tracer"
  cp -r "$work/share" "$work/$name/share"
  cp "$root"/LICENSE-* "$root/CHANGELOG.md" "$root/README.md" "$work/$name/share/doc/tracer/"
  tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -c "$name" | gzip -9n >"$out/$name.tar.gz"
}

# control FOLDER: what dpkg is told of the package.
control() {
  local depends=
  # Only a development build needs a library.
  [[ $(file -b "$work/tracer") == *static* ]] || depends="Depends: libc6 (>= $(newest_glibc "$work/tracer")), libgcc-s1"
  mkdir -p "$1/DEBIAN"
  {
    cat <<END
Package: tracer
Version: $version
Architecture: amd64
Maintainer: $maintainer
Installed-Size: $(du -sk --apparent-size "$1/usr" | cut -f1)
Section: devel
Priority: optional
Suggests: libcap2-bin
END
    [[ -z $depends ]] || echo "$depends"
    cat <<END
Description: USDT probes of running programs, recorded with eBPF
 Which stage of a multi-process pipeline is slow, and why? tracer records the
 USDT probes of running programs with eBPF into one small, crash-proof file, and
 answers every later question from that file: without the program, without
 root, on any machine.
END
  } >"$1/DEBIAN/control"
  (cd "$1" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$1/DEBIAN/md5sums"
}

# package: the .deb.
package() {
  local tree=$work/deb
  mkdir -p "$tree/usr/bin" "$tree/usr/share/lintian/overrides"
  cp "$work/tracer" "$tree/usr/bin/tracer"
  cp -r "$work"/share/* "$tree/usr/share/"
  {
    printf 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: tracer\n\n'
    printf 'Files: *\nCopyright: the authors of tracer\nLicense: MIT or Apache-2.0\n'
    printf ' Apache-2.0 is in /usr/share/common-licenses/Apache-2.0. What is linked in is under the\n licences in third-party.gz beside this file. MIT:\n .\n'
    sed 's/^/ /; s/^ $/ ./' "$root/LICENSE-MIT"
  } >"$tree/usr/share/doc/tracer/copyright"
  cp "$root/scripts/package/README.Debian" "$tree/usr/share/doc/tracer/README.Debian"
  printf 'tracer (%s) unstable; urgency=medium\n\n  * See CHANGELOG.md of the sources.\n\n -- %s  %s\n' "$version" "$maintainer" \
    "$(date -uRd "@$SOURCE_DATE_EPOCH")" | gzip -9n >"$tree/usr/share/doc/tracer/changelog.gz"
  gzip -9nc "$root/CHANGELOG.md" >"$tree/usr/share/doc/tracer/CHANGELOG.md.gz"
  cp "$root/scripts/package/lintian-overrides" "$tree/usr/share/lintian/overrides/tracer"
  control "$tree"
  dpkg-deb --root-owner-group -Zxz --build "$tree" "$out/tracer_${version}_amd64.deb" >/dev/null
}

need dpkg-deb dpkg
need file file
need strip binutils
if [[ -z $bin ]]; then
  static "$profile"
  bin=$target/${profile/#dev/debug}/tracer
fi
mkdir -p "$out"
strip -o "$work/tracer" "$bin"
share "$work/share"
archive
package
(cd "$out" && sha256sum "tracer-$version-x86_64-linux.tar.gz" "tracer_${version}_amd64.deb" >SHA256SUMS)
check_package "$bin" "$out/tracer_${version}_amd64.deb" "$version" "$work"
[[ -z $prove ]] || prove_alone "$work/tracer" "$work" "$root" "$target"
echo "note: $(cd "$out" && stat -c '%n %s B;' -- *.deb *.tar.gz | paste -sd' ')"
