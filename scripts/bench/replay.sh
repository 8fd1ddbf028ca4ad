# shellcheck shell=bash disable=SC2154
# Part of bench.sh, which sets its variables: events from a file to text, analysis and tables, a second.
#   REPLAYED=50000000      events of tracer's own trace; the JSON takes about 420 B for each
#   PEER_EVENTS=2000000    events of the peers, which would take minutes otherwise

# large_trace: a synthetic pipeline, as large as the disk has room for its JSON; sets events.
large_trace() {
  events=${REPLAYED:-50000000}
  local room
  room=$(df --output=avail -B1 "$work" | tail -n1)
  if ((events * 500 > room)); then
    events=$((room / 500))
    echo "the disk has room for $events events only" >&2
  fi
  [[ -s $work/large.trace ]] || "$bin/synth" -o "$work/large.trace" --events "$events" --shape pipeline 2>"$work/err"
}

# rate NAME EVENTS SECONDS TARGET
rate() { printf '%-40s %10s s %12s M events/s   %s\n' "$1" "$3" "$(ratio "$2" "$(awk -v s="$3" 'BEGIN { print s * 1e6 }')")" "${4:-}"; }

replay() {
  local events lines time peer_events=${PEER_EVENTS:-2000000}
  large_trace
  say "replay to a file and analysis: $events events; the peers, fewer each of their own recording"
  # First, as writing gigabytes of log keeps the disk busy for a while.
  rate 'tracer analyze' "$events" "$(seconds "$bin/tracer" analyze "$work/large.trace")" "mark: 20; $events events"
  # shellcheck disable=SC2016
  time=$(seconds bash -c '"$0" replay "$1" | cat >/dev/null' "$bin/tracer" "$work/large.trace")
  rate 'tracer replay, to a pipe' "$events" "$time" 'mark: 15'
  rate 'tracer replay, to a file' "$events" "$(seconds "$bin/tracer" replay "$work/large.trace")" 'mark: 15, if the disk takes it'
  mv "$work/out" "$work/large.log"
  rate 'cp of that file, or what the disk takes' "$events" "$(seconds cp "$work/large.log" "$work/large.copy")"
  rm -f "$work/large.log" "$work/large.copy"
  perf_probe
  perf record -q -m 32M -o "$work/hit.perf" -e tracer_bench:hit -- "$bin/hammer" --count "$peer_events" >"$work/err" 2>&1
  time=$(seconds perf script -i "$work/hit.perf")
  lines=$(wc -l <"$work/out")
  rate 'perf script' "$lines" "$time" "$lines events of perf record"
  lttng_tools || { echo 'babeltrace2: not measured, LTTng cannot be installed'; return 0; }
  lttng_record "$work/lttng.ctf" "$peer_events" vpid vtid || return
  time=$(seconds babeltrace2 "$work/lttng.ctf")
  lines=$(wc -l <"$work/out")
  rate 'babeltrace2' "$lines" "$time" "$lines events of LTTng-UST"
  rm -rf "$work/lttng.ctf" "$work/out"
}

export_rates() {
  local events format
  large_trace
  # To a pipe: gigabytes of JSON in a file measure how fast the machine hands out pages for its cache.
  say "export of $events events, to a pipe"
  for format in perfetto chrome parquet arrow csv; do
    # shellcheck disable=SC2016
    rate "tracer export $format" "$events" \
      "$(seconds bash -c '"$0" export "$1" --format "$2" -o - | cat >/dev/null' "$bin/tracer" "$work/large.trace" "$format")" 'mark: 5'
  done
}
