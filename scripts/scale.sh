#!/usr/bin/env bash
# Writes synthetic traces of growing size and measures what the verbs take to read them; prints, asserts nothing about time.
# What analyze finds is compared with what is true of the trace: a difference is a failure.
# usage: scripts/scale.sh [EVENTS]...     default: 1000000 100000000 1000000000; a size that the disk has no room for is left out
#   SHAPE=pipeline         shape of the traces (see synth --help)
#   VERBS='verify replay'   the verbs that are measured beside analyze     default: all
#   WORK=DIR               where the files go     default: a new folder in TMPDIR
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/scripts/install.sh"
bin=${CARGO_TARGET_DIR:-$root/target}/release
shape=${SHAPE:-pipeline}
work=${WORK:-$(mktemp -d)}
mkdir -p "$work"
trap 'rm -f "$work"/scale.*; [[ -n ${WORK:-} ]] || rm -rf "$work"' EXIT

# ---- Small things

say() { printf '\n== %s\n' "$*"; }

# timed COMMAND...: runs it, with output to $out if that is set; sets wall, cpu (user and kernel), both s, and rss, of it anon and file, MiB; exit code 3 (done with loss) is
# a result too.
timed() {
  local status=0
  python3 "$root/scripts/bench/measured.py" "$@" >"${out:-$work/scale.out}" 2>"$work/scale.err" 3>"$work/scale.time" || status=$?
  [[ $status == 0 || $status == 3 ]] || { cat "$work/scale.err" >&2; return 1; }
  read -r wall cpu rss anon file <"$work/scale.time"
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
  printf '%-30s %7.2f s, %7.2f s of CPU %6s M events/s of CPU %5s MiB (%s own, %s of files)   %s\n' \
    "$1" "$wall" "$cpu" "$(million "$2" "$cpu")" "$rss" "$anon" "$file" "${3:-}"
}

truth() { awk -v word="$1" -v name="$2" '$1 == word && $2 == name { print $3 }' "$work/scale.truth"; }

lines() { grep -c '] \[PID:' "$work/scale.out" || true; }

# room MEBIBYTES: whether the disk has twice as much room.
room() { [[ $(df --output=avail -m "$work" | tail -n1) -gt $((2 * $1)) ]]; }

# ---- The verbs

all_verbs='verify replay repair cut merge perfetto chrome parquet spans csv'

# measure_verb VERB EVENTS TRACE: a row about a verb, whose output goes nowhere.
measure_verb() {
  local verb=$1 events=$2 trace=$3 out=/dev/null
  case $verb in
    verify | replay) timed "$bin/tracer" "$verb" "$trace" ;;
    repair) timed "$bin/tracer" repair "$trace" -o /dev/null ;;
    cut) timed "$bin/tracer" cut "$trace" --from 0s -o /dev/null ;;
    # The same events twice: each is taken once.
    merge) timed "$bin/tracer" merge "$trace" "$trace" -o /dev/null ;;
    spans) timed "$bin/tracer" export "$trace" --table spans --format parquet -o /dev/null ;;
    *) timed "$bin/tracer" export "$trace" --format "$verb" -o /dev/null ;;
  esac
  rate "tracer $verb" "$events"
}

# ---- One size

measure() {
  local events=$1 trace=$work/scale.trace seq from bytes verb
  room $((events * 3 / 1048576)) || { say "$events events: left out, the disk has no room"; return; }
  say "$events events, $shape"
  timed "$bin/synth" -o "$trace" --events "$events" --shape "$shape"
  cp "$work/scale.err" "$work/scale.truth"
  bytes=$(stat -c %s "$trace")
  rate 'synth' "$events" "$(awk -v b="$bytes" -v n="$events" 'BEGIN { printf "%.0f bytes, %.3f B/event", b, b / n }')"

  fastest "$bin/tracer" info "$trace"
  printf '%-30s %7.1f ms   mark: 50\n' 'tracer info' "$ms"
  seq=$(($(truth last_seq trace) * 2 / 3))
  fastest "$bin/tracer" replay --seq "$seq..$seq" "$trace"
  printf '%-30s %7.1f ms   mark: 50; %s events of seq %s\n' 'tracer replay --seq' "$ms" "$(lines)" "$seq"
  from=$((($(truth last_ns trace) - $(truth first_ns trace)) * 2 / 3000000))
  fastest "$bin/tracer" replay --from "${from}ms" --to "$((from + 1))ms" "$trace"
  printf '%-30s %7.1f ms   mark: 50; %s events from %s ms on\n' 'tracer replay --from --to' "$ms" "$(lines)" "$from"

  timed "$bin/tracer" analyze --format json "$trace"
  rate 'tracer analyze' "$events" 'marks: 20 M events/s, 300 MiB'
  python3 "$root/scripts/compare_truth.py" "$work/scale.truth" "$work/scale.out"
  for verb in ${VERBS-$all_verbs}; do measure_verb "$verb" "$events" "$trace"; done
  rm -f "$trace"
}

# ---- The run

need_rust
need python3 python3
cargo build --quiet --release --manifest-path "$root/Cargo.toml" --package tracer --package sample-traces
[[ $# -gt 0 ]] || set -- 1000000 100000000 1000000000
echo "$(uname -sr), $(nproc) CPUs, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n1), load $(cut -d' ' -f1 /proc/loadavg)"
for events in "$@"; do measure "$events"; done
