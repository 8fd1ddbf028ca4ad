#!/usr/bin/env bash
# Measures what tracer costs and prints it beside its peers, measured in the same run on the same events.
# usage: scripts/bench.sh [hit|attach|format|replay|export|analyze|cores]...      default: all
#   ROUNDS=5        rounds of a measurement; the median is printed, and the rounds of all designs take turns
#   HITS=1000000    probe hits of a round
#   TRACER_PROFILE=dev    builds faster, says nothing about the marks
# More settings, of the other parts: scripts/bench/*.sh.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/scripts/install.sh"
source "$root/scripts/pipeline.sh"
source "$root/scripts/bench/lttng.sh"
source "$root/scripts/bench/format.sh"
source "$root/scripts/bench/replay.sh"
source "$root/scripts/bench/analyze.sh"
source "$root/scripts/bench/cores.sh"
rounds=${ROUNDS:-5} hits=${HITS:-1000000}
profile=${TRACER_PROFILE:-release}
bin=${CARGO_TARGET_DIR:-$root/target}/${profile/#dev/debug}

[[ $(id -u) == 0 ]] || exec sudo --preserve-env "${BASH_SOURCE[0]}" "$@"
# The peers need tracefs, which is not mounted everywhere; this mount is seen by this script alone.
if ! mountpoint -q /sys/kernel/tracing; then
  # shellcheck disable=SC2016
  exec unshare --mount bash -c 'mount -t tracefs nodev /sys/kernel/tracing && exec "$0" "$@"' "${BASH_SOURCE[0]}" "$@"
fi
work=$(mktemp -d)
trap 'stop_pipeline; rm -rf "$work"; : 2>/dev/null >/sys/kernel/tracing/uprobe_events || true' EXIT

# ---- Small things

say() { printf '\n== %s\n' "$*"; }

median() { sort -g | awk '{ n[NR] = $1 } END { print NR ? (n[int((NR + 1) / 2)] + n[int(NR / 2) + 1]) / 2 : "-" }'; }

# field NAME: the number in a line "NAME NUMBER" of the input, where NAME may have spaces.
field() { sed -n "s/^$1 //p"; }

# seconds COMMAND...: the wall time of a command; its output goes to $work/out.
seconds() {
  local start end
  start=$(date +%s%N)
  "$@" >"$work/out" 2>"$work/err" || [[ $? == 3 ]] || { cat "$work/err" >&2; return 1; }
  end=$(date +%s%N)
  awk -v ns=$((end - start)) 'BEGIN { printf "%.3f", ns / 1e9 }'
}

# lossy COMMAND...: exit code 3 (done, but some events were lost) is a result, not a failure.
lossy() { "$@" || [[ $? == 3 ]]; }

# validators: the folder with pyarrow in it.
validators() { "$root/scripts/validators/setup.sh" 2>"$work/err" || { cat "$work/err" >&2; return 1; }; }

ratio() { awk -v a="$1" -v b="$2" 'BEGIN { print (b > 0 && a != "-") ? sprintf("%.2f", a / b) : "-" }'; }

# ---- hit: what one hit costs the traced program

# The probe of hammer for perf: perf takes the address in the note for a place in the file, which it need not be.
perf_probe() {
  local at register
  at=$(python3 "$root/scripts/usdt_offset.py" "$bin/hammer" hammer hit)
  register=${at#* }
  printf 'p:tracer_bench/hit %s:%s n=%%%s:s64\n' "$bin/hammer" "${at% *}" "${register#r}" >/sys/kernel/tracing/uprobe_events
}

hammer_alone() { "$bin/hammer" --count "$hits"; }
hammer_tracer() { lossy "$bin/tracer" record --force -o "$work/hit.trace" -e 'hammer:*' -- "$bin/hammer" --count "$hits"; }
hammer_perf() { perf record -q -o "$work/hit.perf" -e tracer_bench:hit -- "$bin/hammer" --count "$hits"; }

recorded_by_tracer() { lossy "$bin/tracer" replay "$work/hit.trace" 2>/dev/null | grep -c ' hammer:hit '; }
# Only the probe's events: the file has others, as the start of the program.
recorded_by_perf() { perf script -i "$work/hit.perf" -F event 2>/dev/null | grep -c hit; }

hit() {
  local round design ns count bytes
  say "cost of a hit beside that of an empty eBPF program, in one process that takes turns ($rounds rounds)"
  "$bin/examples/hit_cost" $((hits / 10)) "$rounds" | tee "$work/hit_cost"
  say "cost of a hit in the traced program ($hits hits, one thread, median of $rounds rounds)"
  perf_probe
  for ((round = 0; round < rounds; round++)); do
    for design in alone tracer perf; do
      "hammer_$design" >"$work/err" 2>&1
      [[ $(field 'fired hammer:hit' <"$work/err") == "$hits" ]] || { cat "$work/err" >&2; return 1; }
      field cpu_ns_per_hit <"$work/err" >>"$work/ns.$design"
    done
  done
  printf '%-34s %8s %14s %8s\n' design ns/hit 'events kept' B/event
  for design in 'alone:not traced' 'tracer:tracer record' 'perf:perf record'; do
    ns=$(median <"$work/ns.${design%%:*}")
    read -r count bytes < <(kept "${design%%:*}")
    printf '%-34s %8.1f %14s %8s\n' "${design#*:}" "$ns" "$count" "$bytes"
  done
  echo "marks: tracer at most 1.25 x floor and at most 0.60 x perf; here $(awk '$1 == "one" { print $6 }' "$work/hit_cost")" \
    "and $(ratio "$(median <"$work/ns.tracer")" "$(median <"$work/ns.perf")")"
}

# kept DESIGN: events in the last recording, and its bytes for each.
kept() {
  local count
  case $1 in
    tracer) count=$(recorded_by_tracer) && echo "$count $(ratio "$(stat -c %s "$work/hit.trace")" "$count")" ;;
    perf) count=$(recorded_by_perf) && echo "$count $(ratio "$(stat -c %s "$work/hit.perf")" "$count")" ;;
    *) echo '- -' ;;
  esac
}

# ---- attach: a thousand sites at once

attach() {
  say "attaching to and detaching from the sites of one program (median of $rounds rounds)"
  "$bin/examples/attach_cost" "$rounds"
  echo "mark: 1000 sites attached in under 100 ms"
}

# ---- The run

need cc build-essential
need_rust
need perf linux-perf
need zstd zstd
need python3 python3
cargo build --quiet --profile "$profile" --manifest-path "$root/Cargo.toml" --package tracer --package sample-traces
cargo build --quiet --profile "$profile" --manifest-path "$root/Cargo.toml" --package tracer-recorder --example hit_cost --example attach_cost
cargo build --quiet --profile "$profile" --manifest-path "$root/Cargo.toml" --package tracer-format --example rates
[[ $# -gt 0 ]] || set -- hit attach format replay export analyze cores
if [[ " $* " == *' format '* ]]; then
  need babeltrace2 babeltrace2
  /usr/bin/python3 -c 'import bt2' 2>/dev/null || install_packages python3-bt2
fi
echo "$(uname -sr), $(nproc) CPUs, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n1), load $(cut -d' ' -f1 /proc/loadavg)"
for part in "$@"; do
  case $part in
    hit | attach | format | replay | analyze | cores) "$part" ;;
    export) export_rates ;;
    *) echo "bench.sh: found $part, expected hit, attach, format, replay, export, analyze or cores" >&2; exit 2 ;;
  esac
done
