# shellcheck shell=bash
# Checks of a package and its program (scripts/package.sh); to be sourced.

# verbs TRACER: every verb that has a manual page.
verbs() { "$1" man | sed -n 's/^tracer\\-\(.*\)(1)$/\1/p'; }

# newest_glibc PROGRAM: the version of the C library that a dynamic program needs.
newest_glibc() { objdump -T "$1" | grep -o 'GLIBC_[0-9.]*' | sed 's/GLIBC_//' | sort -Vu | tail -n 1; }

# fail TEXT...: ends the script.
fail() {
  echo "$*" >&2
  exit 1
}

# check_package TRACER DEB VERSION WORK: fields, files and pages; lintian; installed in a folder of its own, and removed.
check_package() {
  local tracer=$1 deb=$2 version=$3 work=$4 found verb tree=$4/installed
  found=$(dpkg-deb --field "$deb" Package Version Architecture | paste -sd' ')
  [[ $found == "Package: tracer Version: $version Architecture: amd64" ]] || fail "the package says: $found"
  mkdir -p "$tree"/var/lib/dpkg/{info,updates} "$tree"/var/log
  touch "$tree/var/lib/dpkg/status"
  as_root dpkg --root="$tree" --force-depends --force-not-root --log=/dev/null --install "$deb" >"$work/dpkg.log" 2>&1 ||
    fail "dpkg does not install it: $(cat "$work/dpkg.log")"
  [[ $("$tree/usr/bin/tracer" --version) == "tracer $version" ]] || fail "the installed program does not run"
  for verb in '' $(verbs "$tracer"); do
    check_page "$tree/usr/share/man/man1/tracer${verb:+-$verb}.1.gz" "${verb:+tracer $verb}" "$work"
  done
  check_completions "$tree/usr/share" "$(verbs "$tracer" | paste -sd' ')"
  [[ $(zcat "$tree/usr/share/doc/tracer/third-party.gz" | grep -c '^== ') -gt 50 ]] || fail "licences of other crates are missing"
  if command -v lintian >/dev/null; then
    lintian --fail-on warning --tag-display-limit 0 "$deb" || fail "lintian complains"
  fi
  as_root dpkg --root="$tree" --force-not-root --log=/dev/null --purge tracer >"$work/dpkg.log" 2>&1 ||
    fail "dpkg does not remove it: $(cat "$work/dpkg.log")"
  [[ -z $(find "$tree" -path "$tree/var" -prune -o -type f -print) ]] || fail "removed, it leaves files"
}

# check_page FILE NAME WORK: it is there, names what it is about, and is formatted without a complaint.
check_page() {
  [[ -s $1 ]] || fail "there is no page $1"
  zcat "$1" >"$3/page"
  [[ -z $2 ]] || grep -q "^\\.TH ${2/ /-} 1 " "$3/page" || fail "$1 is not the page of $2"
  command -v groff >/dev/null || return 0
  groff -man -Tutf8 -P-cbou -ww "$3/page" >"$3/shown" 2>"$3/complaints"
  [[ ! -s $3/complaints ]] || fail "$1: $(head -n 3 "$3/complaints")"
  grep -q SYNOPSIS "$3/shown" || fail "$1 shows no synopsis"
}

# check_completions SHARE VERBS: each shell that is installed takes its script, and bash completes every verb.
check_completions() {
  local verb found
  bash -n "$1/bash-completion/completions/tracer"
  ! command -v zsh >/dev/null || zsh -n "$1/zsh/vendor-completions/_tracer"
  ! command -v fish >/dev/null || fish --no-execute "$1/fish/vendor_completions.d/tracer.fish"
  # shellcheck disable=SC2016 # For the other shell.
  found=$(bash -c 'source "$1"; COMP_WORDS=(tracer ""); COMP_CWORD=1; _tracer tracer "" tracer; echo " ${COMPREPLY[*]} "' - \
    "$1/bash-completion/completions/tracer")
  for verb in $2; do
    [[ $found == *" $verb "* ]] || fail "bash does not complete the verb $verb:$found"
    grep -q -- "'$verb:\|\b$verb\b" "$1/zsh/vendor-completions/_tracer" || fail "zsh does not complete the verb $verb"
    grep -q -- "-a \"$verb\"" "$1/fish/vendor_completions.d/tracer.fish" || fail "fish does not complete the verb $verb"
  done
}

# prove_alone PROGRAM WORK ROOT TARGET: the program needs nothing of a distribution: it is the first and only one in a machine, and reads a trace
# there; and it records there.
prove_alone() {
  local tree=$2/alone folder=$2/bin root=$3 target=$4 kernel sample=$3/sample-traces/data/pipeline.trace
  [[ $(file -b "$1") == *static* ]] || fail "--prove: $1 is not static"
  need_rust
  cargo build --quiet --locked --manifest-path "$root/Cargo.toml" --package sample-traces --bins
  mkdir -p "$folder" "$tree"
  cp "$1" "$target"/debug/{pipeline,source,processor,sink,hammer} "$folder/"
  "$root/scripts/kernels.sh" --bin "$folder" newest | tee "$2/trials"
  kernel=$target/kernels/vmlinuz-$(sed -n 's/^note: //p' "$2/trials")
  cp "$1" "$tree/init"
  cp "$sample" "$tree/run.trace"
  (cd "$tree" && find . | cpio --quiet -o -H newc) >"$2/alone.cpio"
  timeout 10m qemu-system-x86_64 -accel tcg,thread=single -cpu max -m 1G -display none -serial "file:$2/alone.log" -no-reboot \
    -kernel "$kernel" -initrd "$2/alone.cpio" -append 'console=ttyS0 quiet panic=-1 rdinit=/init -- replay /run.trace' </dev/null
  # The kernel stops when its first process ends, and says with which exit code.
  grep -q 'Attempted to kill init! exitcode=0x00000000' "$2/alone.log" || fail "alone in a machine: $(tail -n 20 "$2/alone.log")"
  sed 's/\r//g' "$2/alone.log" | grep '\] \[PID:' >"$2/alone.txt"
  "$1" replay "$sample" | grep '\] \[PID:' | cmp - "$2/alone.txt" || fail "alone in a machine it replays something else"
  echo "note: alone in a machine with $(basename "$kernel"): $(wc -l <"$2/alone.txt") events replayed;"
}
