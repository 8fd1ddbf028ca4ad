#!/usr/bin/env bash
# The gate: everything that has to hold before a change lands. Installs what it needs, runs every step even if an earlier
# one failed, prints each step's name and seconds, shows the output of a step only if it failed.
# usage: scripts/check.sh [STEP...]      default: all; names are in the list at the end of this file
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
source scripts/install.sh
export CARGO_TERM_COLOR=never
# A clean checkout is built once: state for the next build only costs time.
[[ -z ${CI:-} ]] || export CARGO_INCREMENTAL=0
bin=${CARGO_TARGET_DIR:-target}/debug
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$work"' EXIT
# A recording sees every program, those of another checkout's tests too: the live tests take the same lock.
alone=(flock --close "${TMPDIR:-/tmp}/tracer-live-tests.lock")
passed=0 failed=0 failures=() log=

is_chosen() { [[ ${#chosen[@]} == 0 || " ${chosen[*]} " == *" $1 "* ]]; }

# begin NAME FUNCTION: starts a step that waits for no other, and whose outcome no load changes; step NAME waits for it.
declare -A begun=()
begin() {
  is_chosen "$1" || return 0
  log=$work/$1.log
  (set -euo pipefail && "$2") >"$log" 2>&1 </dev/null &
  begun[$1]=$!
}

# step NAME FUNCTION: runs one step in a shell of its own.
step() {
  local start=$SECONDS status
  is_chosen "$1" || return 0
  log=$work/$1.log
  # Not as the condition of the if: bash ignores set -e there, even in a shell of its own.
  if [[ ${begun[$1]:-} ]]; then
    wait "${begun[$1]}"
  else
    (set -euo pipefail && "$2") >"$log" 2>&1 </dev/null
  fi
  status=$?
  if [[ $status == 0 ]]; then
    passed=$((passed + 1))
    printf 'ok      %-14s %4d s  %s\n' "$1" $((SECONDS - start)) "$(note)"
  else
    failed=$((failed + 1))
    failures+=("$1")
    printf 'FAILED  %-14s %4d s\n' "$1" $((SECONDS - start))
    { failed_tests && tail -n 60 "$log"; } | sed 's/^/    /'
  fi
}

# note: what a passed step has to say for itself: lines of its output that start with "note: ".
note() { sed -n 's/^note: //p' "$log" | paste -sd' '; }

# What all builds of a clean checkout take, GB; a full disk shows as a linker that was killed.
disk_gb=14
room() {
  local target=${CARGO_TARGET_DIR:-target} free built
  mkdir -p "$target"
  free=$(df --output=avail -BG "$target" | tail -n1 | tr -dc 0-9)
  built=$(du -sBG "$target" | tr -dc '0-9\t' | cut -f1)
  if ((free + built < disk_gb)); then
    echo "$free GB are free where $target is, and $built GB are built; the gate needs $disk_gb GB: free some, or set CARGO_TARGET_DIR"
    return 1
  fi
}

tools() {
  room
  need cc build-essential
  need_rust
  need cargo-clippy rust-web-clippy
  need rustfmt rustfmt-web
  need shellcheck shellcheck
  [[ -e /usr/include/sys/sdt.h ]] || install_packages systemtap-sdt-dev
  # By its path: another python3.11 may come first in PATH, without probes.
  [[ -x /usr/bin/python3.11 ]] || install_packages python3.11
  # Real software with probes of its own.
  [[ -x /usr/lib/postgresql/15/bin/pgbench ]] || install_packages postgresql-15
  [[ -x /usr/lib/jvm/java-17-openjdk-amd64/bin/java ]] || install_packages openjdk-17-jre-headless
  need ruby3.1 ruby3.1
  need php8.2 php8.2-cli
  [[ -x /usr/sbin/libvirtd && -x /usr/bin/virsh ]] || install_packages libvirt-daemon libvirt-clients
  scripts/validators/setup.sh
}

scripts_lint() { shellcheck --external-sources --source-path=SCRIPTDIR scripts/*.sh scripts/*/*.sh .ci/run; }

format() { cargo fmt --all --check -- --color never; }

lint() {
  cargo clippy --quiet --workspace --all-targets --locked -- -D warnings
  # Workspaces of their own: nothing else here would see that a lock file is old, or that a fuzz target does not build.
  cargo check --quiet --locked --manifest-path format-spec/fuzz/Cargo.toml --target-dir "${CARGO_TARGET_DIR:-target}"
  cargo metadata --quiet --locked --format-version 1 --manifest-path ebpf-probes/Cargo.toml >/dev/null
}

# The analyzer and the format build anywhere, without eBPF and without the recorder; those two do not see each other. Within
# a crate, a room uses only the rooms declared for it.
layers() {
  without tracer-format 'aya|tracer-'
  without tracer-analyzer 'aya|tracer-recorder|tracer-probes'
  without tracer-recorder 'tracer-analyzer'
  python3 scripts/rooms.py
}

# without PACKAGE NAMES: the package depends on nothing whose name starts so (itself aside).
without() {
  local tree
  tree=$(cargo tree --locked --package "$1" --edges normal --prefix none | sed 1d)
  if grep -E "^($2)" <<<"$tree"; then
    echo "$1 depends on the above"
    return 1
  fi
}

docs() {
  RUSTDOCFLAGS='-D warnings' cargo doc --quiet --workspace --no-deps --locked
  # The unit of SECURITY.md; what it starts has to be there.
  awk '/^```ini/ { unit = 1; next } /^```/ { unit = 0 } unit' SECURITY.md | sed 's|^ExecStart=[^ ]*|ExecStart=/bin/true|' >"$work/tracer.service"
  ! command -v systemd-analyze >/dev/null || systemd-analyze verify "$work/tracer.service"
}

build() { cargo test --quiet --workspace --locked --no-run; }

# Tests that need more than a stable toolchain carry #[ignore]; the gate runs them too, and fails if one was skipped.
tests() {
  local host
  host=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
  [[ $(id -u) == 0 ]] || export "CARGO_TARGET_${host}_RUNNER=sudo --preserve-env"
  cargo test --workspace --locked --no-fail-fast -- --include-ignored
  awk '/^test result:/ { passed += $4; failed += $6; ignored += $8 }
    END { printf "note: %d tests, %d ignored\n", passed + failed, ignored; exit ignored > 0 }' "$log"
}

# failed_tests: names and messages of the tests that failed, from the output of cargo test.
failed_tests() { awk '/^failures:$/ { shown = 1 } /^test result:/ { shown = 0 } shown' "$log"; }

ebpf() { scripts/build-ebpf.sh --check; }

# The verbs that read compile for macOS too. There is no SDK here: nothing is linked, and the C code of zstd is left out.
systems() {
  RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 RUSTFLAGS='-D warnings' CC_x86_64_apple_darwin=true AR_x86_64_apple_darwin=true \
    /usr/bin/cargo check --quiet --locked -Zbuild-std=std,panic_abort --target x86_64-apple-darwin --package tracer \
    --target-dir "${CARGO_TARGET_DIR:-target}/systems"
}

samples() { scripts/bless.sh --check "$bin/tracer"; }

# Every command in the documents is one, and what the README shows is what tracer says.
readme() {
  scripts/commands.py "$bin/tracer"
  as_root "${alone[@]}" scripts/readme.sh --check "$bin/tracer"
}

# A reader written from SPEC.md alone agrees with tracer on every sample, as it is and damaged.
second_reader() {
  local python
  python=$(scripts/validators/setup.sh)/python/bin/python
  "$python" scripts/read_trace_test.py "$bin/tracer" sample-traces/data/*.trace
  echo "note: $(tail -n 1 "$log")"
}

# Stages live, in a terminal.
top() { as_root "${alone[@]}" scripts/top_test.sh "$bin/tracer"; }

exports() { scripts/validators/check_exports.sh "$bin/tracer" sample-traces/data/[!v]*.trace; }

# The job of docs/ci.md on the demo pipeline.
ci() {
  local file
  as_root "${alone[@]}" scripts/ci_test.sh "$bin/tracer"
  /usr/bin/python3 -c 'import yaml' 2>/dev/null || install_packages python3-yaml
  for file in docs/ci/*.yml; do
    /usr/bin/python3 -c 'import sys, yaml; yaml.safe_load(open(sys.argv[1]))' "$file"
  done
}

# Traces of several hosts as a dataset, its questions on real engines, and an exporter that is killed beside a reader.
fleet() {
  scripts/fleet.sh --small "$bin"
  echo "note: $(grep 'every row once' "$log")"
}

# Packages of the development build: what is in them and how they install is the same.
package() { scripts/package.sh --bin "$bin/tracer" --out "$work/packages"; }

# What another user may try against a recorder that is root.
adversary() { as_root "${alone[@]}" scripts/adversary.sh --bin "$bin" --patience 10 quick; }

# The demo as a stranger runs it, in an empty folder; the development build spares a second one.
demo() {
  mkdir "$work/demo"
  (cd "$work/demo" && TRACER_PROFILE=dev "${alone[@]}" "$OLDPWD/scripts/demo.sh")
  [[ -s $work/demo/run.trace && -s $work/demo/run.json ]]
}

# Other kernels than this machine's. A mirror that is away for a while is no fault of the change.
kernels() { scripts/kernels.sh --bin "$bin" 6.1 6.12 newest || [[ $? == 3 ]]; }

chosen=("$@")
step tools tools
step shellcheck scripts_lint
step format format
step lint lint
step layers layers
step docs docs
step build build
# Its machines count their own instructions; what else runs here changes nothing in them.
begin kernels kernels
step tests tests
step ebpf ebpf
step systems systems
step samples samples
step readme readme
step second-reader second_reader
step exports exports
step top top
step ci ci
step fleet fleet
step package package
step adversary adversary
step demo demo
step kernels kernels

echo "whole gate: $SECONDS s${failures[*]:+; failed: ${failures[*]}}"
echo "$passed passed, $failed failed"
[[ $failed == 0 && $passed -gt 0 ]]
