#!/usr/bin/env bash
# Writes synthetic traces of growing size and measures what the verbs take to read them; prints, asserts nothing about time.
# What analyze finds is compared with what is true of the trace: a difference is a failure.
# usage: scripts/scale.sh [EVENTS]...     default: 10000000 100000000 1000000000; a size that the disk has no room for is left out
#   SHAPE=pipeline         shape of the traces (see synth --help)
#   REPLAYED=50000000      events of the replay to a file, which takes about 100 B for each
#   PEERS=2000000          events of the peers' traces; 0 for none
#   WORK=DIR               where the files go     default: a new folder in TMPDIR
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/scripts/install.sh"
bin=${CARGO_TARGET_DIR:-$root/target}/release
shape=${SHAPE:-pipeline} replayed=${REPLAYED:-50000000} peers=${PEERS:-2000000}
work=${WORK:-$(mktemp -d)}
mkdir -p "$work"
trap 'rm -f "$work"/scale.*; [[ -n ${WORK:-} ]] || rm -rf "$work"' EXIT

# ---- Small things

say() { printf '\n== %s\n' "$*"; }

# timed COMMAND...: sets wall, cpu (user and kernel), both s, and rss, MiB; exit code 3 (done with loss) is a result too.
timed() {
  local status=0
  /usr/bin/time --format '%e %U %S %M' --output "$work/scale.time" "$@" >"$work/scale.out" 2>"$work/scale.err" || status=$?
  [[ $status == 0 || $status == 3 ]] || { cat "$work/scale.err" >&2; return 1; }
  read -r wall cpu rss < <(tail -n1 "$work/scale.time" | awk '{ print $1, $2 + $3, int($4 / 1024) }')
}

# fastest COMMAND...: sets ms to the least wall time of five runs.
fastest() {
  local start end
  ms=
  for _ in 1 2 3 4 5; do
    start=$(date +%s%N)
    "$@" >"$work/scale.out" 2>"$work/scale.err" || [[ $? == 3 ]] || { cat "$work/scale.err" >&2; return 1; }
    end=$(date +%s%N)
    ms=$(awk -v ns=$((end - start)) -v ms="${ms:-1e9}" 'BEGIN { t = ns / 1e6; printf "%.1f", (t < ms ? t : ms) }')
  done
}

# million EVENTS SECONDS: millions of events per second.
million() { awk -v n="$1" -v s="$2" 'BEGIN { printf "%.1f", (s > 0 ? n / s / 1e6 : 0) }'; }

# rate NAME EVENTS [MARK]: a row about the command that was timed last.
rate() {
  printf '%-30s %7.2f s, %7.2f s of CPU %6s M events/s of CPU %7s MiB   %s\n' \
    "$1" "$wall" "$cpu" "$(million "$2" "$cpu")" "$rss" "${3:-}"
}

truth() { awk -v word="$1" -v name="$2" '$1 == word && $2 == name { print $3 }' "$work/scale.truth"; }

lines() { grep -c '] \[PID:' "$work/scale.out" || true; }

# room MEBIBYTES: whether the disk has twice as much room.
room() { [[ $(df --output=avail -m "$work" | tail -n1) -gt $((2 * $1)) ]]; }

# ---- One size

measure() {
  local events=$1 trace=$work/scale.trace seq from bytes
  room $((events * 3 / 1048576)) || { say "$events events: left out, the disk has no room"; return; }
  say "$events events, $shape"
  timed "$bin/synth" -o "$trace" --events "$events" --shape "$shape"
  cp "$work/scale.err" "$work/scale.truth"
  bytes=$(stat -c %s "$trace")
  rate 'synth' "$events" "$(awk -v b="$bytes" -v n="$events" 'BEGIN { printf "%.0f bytes, %.3f B/event", b, b / n }')"

  fastest "$bin/tracer" info "$trace"
  printf '%-30s %7.1f ms   mark: 50\n' 'tracer info' "$ms"
  seq=$(($(truth last_seq trace) * 2 / 3))
  fastest "$bin/tracer" replay --seq "$seq" "$trace"
  printf '%-30s %7.1f ms   mark: 50; %s events of seq %s\n' 'tracer replay --seq' "$ms" "$(lines)" "$seq"
  from=$((($(truth last_ns trace) - $(truth first_ns trace)) * 2 / 3000000))
  fastest "$bin/tracer" replay --from "${from}ms" --to "$((from + 1))ms" "$trace"
  printf '%-30s %7.1f ms   mark: 50; %s events from %s ms on\n' 'tracer replay --from --to' "$ms" "$(lines)" "$from"

  timed "$bin/tracer" analyze --format json "$trace"
  rate 'tracer analyze' "$events" 'marks: 20 M events/s, 300 MiB'
  python3 "$root/scripts/compare_truth.py" "$work/scale.truth" "$work/scale.out"
  rm -f "$trace"
}

# ---- Replay to a file, and the peers

replay() {
  room $((replayed * 100 / 1048576)) || { say "replay to a file: left out, the disk has no room"; return; }
  say "replay to a file"
  timed "$bin/synth" -o "$work/scale.trace" --events "$replayed" --shape "$shape"
  timed "$bin/tracer" replay "$work/scale.trace"
  rate 'tracer replay' "$replayed" "mark: 15 M events/s; $(stat -c %s "$work/scale.out") bytes"
  rm -f "$work/scale.trace" "$work/scale.out"
}

# The same kind of events in a CTF trace, written by a C program with an LTTng tracepoint.
peer_babeltrace() {
  local program=$work/scale.lttng session=tracer-scale-$$
  command -v lttng babeltrace2 cc >/dev/null || { echo 'babeltrace2: not measured, lttng or babeltrace2 is not installed'; return; }
  cat >"$work/scale.h" <<'C'
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER tracer_scale
#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "scale.h"
#if !defined(SCALE_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define SCALE_H
#include <lttng/tracepoint.h>
LTTNG_UST_TRACEPOINT_EVENT(tracer_scale, hit, LTTNG_UST_TP_ARGS(unsigned long, seq),
  LTTNG_UST_TP_FIELDS(lttng_ust_field_integer(unsigned long, seq, seq)))
#endif
#include <lttng/tracepoint-event.h>
C
  cat >"$work/scale.c" <<'C'
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "scale.h"
#include <stdlib.h>
int main(int argc, char **argv) {
  unsigned long count = argc > 1 ? strtoul(argv[1], 0, 10) : 0;
  for (unsigned long seq = 0; seq < count; seq++) lttng_ust_tracepoint(tracer_scale, hit, seq);
}
C
  cc -O2 -I"$work" -o "$program" "$work/scale.c" -llttng-ust -ldl 2>"$work/scale.err" ||
    { echo 'babeltrace2: not measured, liblttng-ust-dev is not installed'; return; }
  {
    lttng create "$session" --output="$work/scale.ctf"
    # A program waits for room rather than lose events.
    lttng enable-channel --userspace --blocking-timeout=inf --subbuf-size=4M --num-subbuf=8 all
    lttng enable-event --userspace --channel=all 'tracer_scale:*'
    lttng add-context --userspace --channel=all --type=vpid --type=vtid
    lttng start
    LTTNG_UST_ALLOW_BLOCKING=1 "$program" "$peers"
    lttng destroy "$session"
  } >"$work/scale.err" 2>&1 || { echo 'babeltrace2: not measured, lttng failed:'; cat "$work/scale.err"; return; }
  timed babeltrace2 "$work/scale.ctf"
  rate 'babeltrace2 (LTTng, CTF)' "$(wc -l <"$work/scale.out")" \
    "$(du -sb "$work/scale.ctf" | awk -v n="$peers" '{ printf "%.1f B/event", $1 / n }')"
  rm -rf "$work/scale.ctf"
}

# Page faults of a program in a perf.data: events of the kernel need no privilege beyond perf's own.
peer_perf() {
  command -v perf >/dev/null || { echo 'perf script: not measured, perf is not installed'; return; }
  perf record -q -m 32M -c 1 -e page-faults -o "$work/scale.perf" -- \
    python3 -c "import mmap
pages, left = 1 << 16, $peers
while left > 0:
    area = mmap.mmap(-1, pages * mmap.PAGESIZE)
    area.madvise(mmap.MADV_NOHUGEPAGE)
    for at in range(0, min(pages, left) * mmap.PAGESIZE, mmap.PAGESIZE): area[at] = 1
    left -= pages" >"$work/scale.err" 2>&1 || { echo 'perf script: not measured, perf record failed:'; cat "$work/scale.err"; return; }
  timed perf script -i "$work/scale.perf" -F comm,pid,tid,time,event,ip
  rate 'perf script (page faults)' "$(wc -l <"$work/scale.out")" \
    "$(stat -c %s "$work/scale.perf" | awk -v n="$(wc -l <"$work/scale.out")" '{ printf "%.1f B/event", $1 / n }')"
}

# ---- The run

need_rust
need python3 python3
[[ -x /usr/bin/time ]] || install_packages time
cargo build --quiet --release --manifest-path "$root/Cargo.toml" --package tracer --package sample-traces
[[ $# -gt 0 ]] || set -- 10000000 100000000 1000000000
echo "$(uname -sr), $(nproc) CPUs, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n1), load $(cut -d' ' -f1 /proc/loadavg)"
for events in "$@"; do measure "$events"; done
replay
if [[ $peers -gt 0 ]]; then
  peer_babeltrace
  peer_perf
fi
