#!/usr/bin/env bash
# Boots real Debian kernels in qemu, without KVM, tries on each what the recorder needs of a kernel, and prints a table.
# usage: scripts/kernels.sh [--bin FOLDER] [--cpus N] [VERSION...]
#   --bin       folder with tracer and the demo programs; default: the development build, which is brought up to date
#   --cpus      processors of a machine; with more than one it keeps the time of this machine, and a busy one may fail trials
#   VERSION     a series such as 6.1, a version such as 6.12.74, or newest; default: every series from 5.10 on that the
#               Debian mirror of this machine has
#
# A machine is a kernel and an initramfs: busybox, tracer, the demo programs, and scripts/kernels/init.sh with the trials.
# Its only clock counts its own instructions, so that no trial depends on how fast or busy this machine is. Kernels are kept in
# target/kernels, beside what each machine printed. Installs what it needs. Exit codes: 0 no trial failed; 1 one did; 3 none did,
# but a kernel could not be fetched.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/scripts/install.sh"

target=${CARGO_TARGET_DIR:-$root/target}
cache=$target/kernels
bin=
cpus=1
# A machine that is not done by then is stuck; where nothing else runs it takes about 40 s.
patience=30m
# The trials, in the order of the table; scripts/kernels/init.sh prints a line for each.
columns=(doctor multi perf hold semaphores strings processes children loss kill)

while [[ ${1:-} == --* ]]; do
  case $1 in
    --bin)
      bin=$(realpath "${2:?"--bin: a folder is expected"}")
      shift
      ;;
    --cpus)
      cpus=${2:?"--cpus: a number is expected"}
      shift
      ;;
    *)
      sed -n '2,7s/^# //p' "${BASH_SOURCE[0]}" >&2
      exit 2
      ;;
  esac
  shift
done

# apt PROGRAM ARGUMENTS...: apt with lists and a cache of its own: what the machine's apt knows stays as it is.
apt() {
  local program=$1
  shift
  "$program" -q -o Dir::Etc::sourcelist="$cache/apt/kernels.sources" -o Dir::Etc::sourceparts=- \
    -o Dir::State::Lists="$cache/apt/lists" -o Dir::Cache="$cache/apt/cache" -o APT::Sandbox::User=root \
    -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false "$@"
}

# sources: the suites with kernels, on the mirrors that the machine itself uses.
sources() {
  local codename suite uri suites
  codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
  # shellcheck disable=SC2016 # apt replaces them.
  apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' | sort -u |
    while read -r suite uri; do
      case $suite in
        "$codename") suites="bullseye bookworm trixie trixie-backports" ;;
        "$codename-security") suites="bullseye-security bookworm-security trixie-security" ;;
        *) continue ;;
      esac
      printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\n' "$uri" "$suites"
      printf 'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n'
    done
}

# update: learns which kernels there are, once a day: lines "VERSION PACKAGE", oldest first.
update() {
  [[ -z $(find "$cache/packages" -mtime -1 2>/dev/null) ]] || return 0
  mkdir -p "$cache"/apt/lists/partial "$cache"/apt/cache/archives/partial
  sources >"$cache/apt/kernels.sources"
  # A suite that the mirror does not have is no reason to stop, nor is a mirror that is away for a while.
  apt apt-get update >"$cache/apt/log" 2>&1 || true
  # From 6.19 on the kernel is in linux-binary-*, and linux-image-* only depends on it.
  apt apt-cache search --names-only '^linux-(image|binary)-[0-9]+[.][0-9]+[.].*-cloud-amd64$' | cut -d' ' -f1 |
    sed -E 's/^linux-(image|binary)-(.*)-cloud-amd64$/\2 \0/' | sort -k1,1V -k2,2r |
    awk '{ last[$1] = last[$1] ~ /binary/ ? last[$1] : $2; if (!seen[$1]++) order[++n] = $1 }
      END { for (i = 1; i <= n; i++) print order[i], last[order[i]] }' >"$cache/packages.new"
  if [[ -s $cache/packages.new ]]; then
    mv "$cache/packages.new" "$cache/packages"
  elif [[ ! -s $cache/packages ]]; then
    cat "$cache/apt/log" >&2
    echo "the mirror tells of no kernels" >&2
    return 1
  fi
}

# find_kernel NAME: "VERSION PACKAGE" of the newest kernel of that name.
find_kernel() {
  awk -v name="$1" 'name == "newest" || $1 == name || (index($1, name) == 1 && substr($1, length(name) + 1, 1) ~ /[.+-]/)' \
    "$cache/packages" | tail -n 1
}

# fetch VERSION PACKAGE: puts the kernel in the cache; gives up after a few minutes.
fetch() {
  local work wait kernel=$cache/vmlinuz-$1
  [[ ! -s $kernel ]] || return 0
  work=$(mktemp -d -p "$cache")
  for wait in 5 15 45 0; do
    (cd "$work" && apt apt-get download "$2") >"$work/log" 2>&1 && break
    if [[ $wait == 0 ]]; then
      cat "$work/log" >&2
      rm -r "$work"
      return 1
    fi
    sleep "$wait"
  done
  # In /boot, or from 7.3 on among the modules.
  dpkg-deb --fsys-tarfile "$work"/*.deb | tar -x -C "$work" --wildcards '*/vmlinuz*'
  find "$work" -type f -name 'vmlinuz*' -exec mv {} "$kernel" \;
  rm -r "$work"
}

# initramfs FILE: everything that runs in a machine.
initramfs() {
  local tree program library libraries
  tree=$(mktemp -d)
  mkdir -p "$tree"/{bin,proc,sys,dev,tmp,root}
  cp "$(command -v busybox)" "$tree/bin/busybox"
  cp "$root/scripts/kernels/init.sh" "$tree/init"
  cc -O2 -o "$tree/bin/target" "$root/scripts/kernels/target.c"
  for program in tracer pipeline source processor sink hammer; do
    strip -o "$tree/bin/$program" "$bin/$program"
  done
  chmod +x "$tree/init"
  for program in "$tree"/bin/*; do
    # A static program has no libraries.
    mapfile -t libraries < <(ldd "$program" 2>/dev/null | grep -o '/[^ ]*')
    for library in "${libraries[@]}"; do
      mkdir -p "$tree$(dirname "$library")"
      cp -L "$library" "$tree$library"
    done
  done
  (cd "$tree" && find . | cpio --quiet -o -H newc) >"$1"
  rm -r "$tree"
}

# boot VERSION: runs the trials; what the machine printed is in the cache.
boot() {
  local log=$cache/$1.log clock=(-icount "shift=1,sleep=off")
  [[ $cpus == 1 ]] || clock=()
  timeout "$patience" qemu-system-x86_64 -accel tcg,thread=single "${clock[@]}" -cpu max -smp "$cpus" -m 2G \
    -display none -serial "file:$log" -no-reboot -kernel "$cache/vmlinuz-$1" -initrd "$cache/initramfs" \
    -append "console=ttyS0 quiet panic=-1 rdinit=/init" </dev/null
  sed -i 's/\r//g' "$log"
}

# row VERSION SECONDS: a line of the table, from what the machine printed; fails if a trial failed or is missing.
row() {
  local column result refusal failed=0
  refusal=$(sed -n 's/^refused 1 //p' "$cache/$1.log")
  if [[ -n $refusal ]]; then
    printf '| %s | %ss | refused: %s' "$1" "$2" "$refusal"
    printf ' |%.0s' "${columns[@]}"
    echo
    return
  fi
  printf '| %s | %ss |' "$1" "$2"
  for column in "${columns[@]}"; do
    result=$(sed -n "s/^trial $column //p" "$cache/$1.log" | head -n 1)
    printf ' %s |' "${result:-missing}"
    [[ $result == ok || $result == - ]] || failed=1
  done
  echo
  return $failed
}

if [[ -z $bin ]]; then
  need_rust
  cargo build --quiet --locked --manifest-path "$root/Cargo.toml" --workspace --bins
  bin=$target/debug
fi
mkdir -p "$cache"
need qemu-system-x86_64 qemu-system-x86
need busybox busybox-static
need cpio cpio
need cc build-essential
need strip binutils
echo '#include <sys/sdt.h>' | cc -E - >"$cache/sdt" 2>&1 || install_packages systemtap-sdt-dev
if ! update; then
  echo "note: no kernel was tried: the mirror does not answer"
  exit 3
fi
names=("$@")
[[ $# -gt 0 ]] || mapfile -t names < <(cut -d. -f1,2 "$cache/packages" | uniq)
initramfs "$cache/initramfs"

printf '| kernel | time |'
printf ' %s |' "${columns[@]}"
printf '\n|---|---|'
printf -- '---|%.0s' "${columns[@]}"
echo
failures=() missing=() tried=()
for name in "${names[@]}"; do
  if ! read -r version package < <(find_kernel "$name") || ! fetch "$version" "$package"; then
    missing+=("$name")
    continue
  fi
  tried+=("$version")
  start=$SECONDS
  boot "$version" || failures+=("$version (stuck)")
  row "$version" $((SECONDS - start)) || failures+=("$version")
done
if [[ ${#failures[@]} -gt 0 ]]; then
  for version in "${failures[@]}"; do
    echo "$version:"
    grep -A 40 'FAILED\|^refused' "$cache/${version%% *}.log" || tail -n 20 "$cache/${version%% *}.log"
  done >&2
  exit 1
fi
[[ ${#tried[@]} == 0 ]] || echo "note: ${tried[*]}"
if [[ ${#missing[@]} -gt 0 ]]; then
  echo "note: not tried, as the mirror does not give them: ${missing[*]}"
  echo "it tells of: $(cut -d' ' -f1 "$cache/packages" | paste -sd' ')" >&2
  exit 3
fi
