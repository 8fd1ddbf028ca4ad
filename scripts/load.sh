#!/usr/bin/env bash
# Records programs that fire more than a machine can usually take, and prints what was lost: with the recorder as one program among
# others (--nice 0), and as it is by default. Ends with an error where fired is not recorded + lost.
# usage: scripts/load.sh [CASE]...      default: all of threads8 threads200 processes wide memory snapshot pipe100k pipe10m frozen killed
#   SECONDS_EACH=4       how long the programs fire
#   TRACER_PROFILE=dev   builds faster
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/scripts/install.sh"
profile=${TRACER_PROFILE:-release} seconds=${SECONDS_EACH:-4}
bin=${CARGO_TARGET_DIR:-$root/target}/${profile/#dev/debug}

[[ $(id -u) == 0 ]] || exec sudo --preserve-env "${BASH_SOURCE[0]}" "$@"
# perf needs tracefs, which is not mounted everywhere; this mount is seen by this script alone.
if ! mountpoint -q /sys/kernel/tracing; then
  # shellcheck disable=SC2016
  exec unshare --mount bash -c 'mount -t tracefs nodev /sys/kernel/tracing && exec "$0" "$@"' "${BASH_SOURCE[0]}" "$@"
fi
work=$(mktemp -d)
recorder='' disk='' group=''

clean() {
  [[ -z $recorder ]] || kill -KILL "$recorder" 2>/dev/null || true
  [[ -z $disk ]] || { fsfreeze -u "$disk" 2>/dev/null || true; umount -l "$disk"; }
  [[ -z $group ]] || rmdir "$group" 2>/dev/null || true
  : 2>/dev/null >/sys/kernel/tracing/uprobe_events || true
  rm -rf "$work"
}
trap clean EXIT

# ---- Small things

# counts: events recorded and lost, as the recorder says at its end; what follows is of single files.
counts() { sed -n 's/^tracer: \(.* \)\?\([0-9]\+\) events, \([0-9]\+\) lost.*/\2 \3/p' "$work/said" | head -n1; }

per_second() { awk -v n="$1" -v s="$2" 'BEGIN { printf "%.2f", n / s / 1e6 }'; }

# start OPTION...: starts a recording, with $launcher before it and standard output to $target; waits until it is ready.
launcher=() target=/dev/null
start() {
  : >"$work/ready"
  "${launcher[@]}" "$bin/tracer" record --force -x "$work/firing" -e 'load:*' --ready-fd 3 "$@" 3>"$work/ready" 2>"$work/said" >"$target" &
  recorder=$!
  until [[ -s $work/ready ]]; do
    kill -0 "$recorder" 2>/dev/null || { cat "$work/said" >&2; return 1; }
    sleep 0.02
  done
}

# finish: ends the recording; sets status.
finish() {
  status=0
  kill -INT "$recorder" 2>/dev/null || true
  wait "$recorder" || status=$?
  recorder=''
}

# fire SHAPE WORKERS RATE: fires; sets hits and took, in seconds.
fire() { read -r hits took _ < <("$work/firing" "$1" "$2" "$3" "$seconds"); }

row() { printf '%-10s %-10s %10s %10s %9s %7s %12s   %s\n' "$@"; }

# result CASE KIND [NOTE]: a row about the recording that has ended.
result() {
  local recorded lost percent
  if [[ $status != 0 && $status != 3 ]]; then
    row "$1" "$2" "$hits" - - - - "ended with status $status: $(tail -n1 "$work/said")"
    return
  fi
  read -r recorded lost < <(counts)
  percent=$(awk -v l="$lost" -v f="$hits" 'BEGIN { printf "%.1f %%", (f ? 100 * l / f : 0) }')
  row "$1" "$2" "$hits" "$recorded" "$lost" "$percent" "$(per_second "$hits" "$took")" "${3:-}"
  [[ $hits == $((recorded + lost)) ]] || { echo "fired is not recorded + lost" >&2; return 1; }
}

# ---- The loads; each is run with the options of the recorder as arguments, behind the name of the kind

plain() { # CASE SHAPE WORKERS RATE KIND OPTION...
  local name=$1 kind=$5
  start -o "$work/run.trace" "${@:6}"
  fire "$2" "$3" "$4"
  finish
  result "$name" "$kind"
}

threads8() { plain threads8 threads 8 0 "$@"; }
threads200() { plain threads200 threads 200 0 "$@"; }
processes() { plain processes processes 2000 100 "$@"; }
wide() { plain wide wide 4 0 "$@"; }

# The recorder alone in a group that may use 64 MiB; the trace is written to a disk.
memory() {
  group=/sys/fs/cgroup/memory/tracer-load-$$
  local limit=memory.limit_in_bytes
  [[ -d /sys/fs/cgroup/memory ]] || { group=/sys/fs/cgroup/tracer-load-$$; limit=memory.max; }
  mkdir -p "$group"
  echo $((64 << 20)) >"$group/$limit"
  # shellcheck disable=SC2016
  launcher=(sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$group")
  plain memory threads 40 0 "$@"
  launcher=()
  rmdir "$group" && group=''
}

# A flight recorder that takes snapshots while the programs fire.
snapshot() {
  local kind=$1
  start -o "$work/run.trace" --last 30s "${@:2}"
  (sleep "$(awk -v s="$seconds" 'BEGIN { print s / 3 }')"; kill -USR1 "$recorder"; sleep 1; kill -USR1 "$recorder") &
  fire threads 2 0
  finish
  result snapshot "$kind" "$(find "$work" -name 'run*.trace' | wc -l) files"
  rm -f "$work"/run*.trace
}

# piped CASE BYTES_PER_SECOND WORKERS RATE KIND OPTION...: the trace goes through a pipe that is read slowly.
piped() {
  local name=$1 rate=$2 workers=$3 each=$4 kind=$5
  mkfifo "$work/pipe"
  python3 "$root/scripts/load/slow.py" "$rate" <"$work/pipe" &
  target=$work/pipe
  start -o - "${@:6}"
  target=/dev/null
  fire threads "$workers" "$each"
  finish
  result "$name" "$kind"
  rm "$work/pipe"
}

pipe100k() { piped pipe100k 100000 4 25000 "$@"; }
pipe10m() { piped pipe10m 10000000 4 25000 "$@"; }

# A disk that takes nothing for five seconds, at full speed.
frozen() {
  local kind=$1
  truncate -s 512M "$work/disk.image"
  mkfs.ext4 -q "$work/disk.image"
  mkdir -p "$work/disk"
  mount -o loop "$work/disk.image" "$work/disk"
  disk=$work/disk
  start -o "$disk/run.trace" "${@:2}"
  (sleep 0.5; fsfreeze -f "$disk"; sleep 5; fsfreeze -u "$disk") &
  local thaw=$!
  seconds=6 fire threads 2 0
  wait "$thaw"
  finish
  result frozen "$kind"
  umount "$disk" && disk=''
}

# How old the last event is that can be read when the recorder is killed while 200 threads fire.
killed() {
  local kind=$1 at last
  start -o "$work/run.trace" "${@:2}"
  "$work/firing" threads 200 0 3 >/dev/null &
  local firing=$!
  sleep 2
  kill -KILL "$recorder"
  # At once, without another program; the clock that events have, on a machine that has not slept.
  read -r at _ </proc/uptime
  wait "$recorder" 2>/dev/null || true
  recorder=''
  last=$({ "$bin/tracer" replay "$work/run.trace" 2>/dev/null || true; } | sed -n 's/^\[ *\([0-9]*\)\] \[PID.*/\1/p' | tail -n1)
  row killed "$kind" - - - - - "the last event in the file is $((${at/.} * 10 - ${last:-0} / 1000000)) ms older than the kill (--flush 200ms)"
  wait "$firing"
}

# perf CASE WORKERS: what the traced program does beside perf record.
beside_perf() {
  local at
  at=$(python3 "$root/scripts/usdt_offset.py" "$work/firing" load hit)
  echo "p:tracer_load/hit $work/firing:${at% *}" >/sys/kernel/tracing/uprobe_events
  perf record -q -a -o "$work/perf" -e tracer_load:hit -- "$work/firing" threads "$2" 0 "$seconds" >"$work/fired" 2>"$work/err"
  read -r hits took _ <"$work/fired"
  row "$1" 'perf' "$hits" - - - "$(per_second "$hits" "$took")" "perf record, for the cost of a hit"
  : >/sys/kernel/tracing/uprobe_events
  rm -f "$work/perf"
}

# ---- The run

need cc build-essential
need_rust
need perf linux-perf
need python3 python3
[[ -e /usr/include/x86_64-linux-gnu/sys/sdt.h || -e /usr/include/sys/sdt.h ]] || install_packages systemtap-sdt-dev
cargo build --quiet --profile "$profile" --manifest-path "$root/Cargo.toml" --package tracer
cc -O2 -pthread -o "$work/firing" "$root/scripts/load/firing.c"
[[ $# -gt 0 ]] || set -- threads8 threads200 processes wide memory snapshot pipe100k pipe10m frozen killed
echo "$(uname -sr), $(nproc) CPUs, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n1), load $(cut -d' ' -f1 /proc/loadavg)"
row case recorder fired recorded lost '' 'M hits/s' ''
for part in "$@"; do
  [[ $(type -t "$part") == function ]] || { echo "load.sh: found $part, expected a case" >&2; exit 2; }
  "$part" '--nice 0' --nice 0
  "$part" default
  case $part in threads*) beside_perf "$part" "${part#threads}" ;; esac
done
