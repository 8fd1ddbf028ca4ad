# shellcheck shell=bash disable=SC2154
# Part of bench.sh, which sets its variables: the whole report beside DuckDB, which answers the smaller question of the latencies
# of stages and hand-offs from the same events.
#   ANALYZED=20000000      events

# analyze_row NAME COMMAND...: wall time, CPU time, events of a second of it, and memory of a command.
analyze_row() {
  local name=$1 wall cpu rss
  shift
  lossy python3 "$root/scripts/bench/measured.py" "$@" >"$work/out" 2>"$work/err" 3>"$work/time" || { cat "$work/err" >&2; return 1; }
  read -r wall cpu rss _ <"$work/time"
  printf '%-40s %8s s %8s s %9s %9s %6s\n' "$name" "$wall" "$cpu" "$(ratio "$analyzed" "$(awk -v s="$cpu" 'BEGIN { print s * 1e6 }')")" \
    "$(ratio "$analyzed" "$(awk -v s="$wall" 'BEGIN { print s * 1e6 }')")" "$rss"
}

analyze() {
  local analyzed=${ANALYZED:-20000000} tools
  tools=$(validators)
  say "analyze: $analyzed events of the synthetic pipeline"
  "$bin/synth" -o "$work/analyzed.trace" --events "$analyzed" --shape pipeline 2>"$work/err"
  lossy "$bin/tracer" export "$work/analyzed.trace" -o "$work/analyzed.parquet" 2>"$work/err"
  printf '%-40s %10s %10s %9s %9s %6s\n' '' wall CPU 'M/s CPU' 'M/s wall' MiB
  analyze_row 'tracer analyze, the whole report' "$bin/tracer" analyze "$work/analyzed.trace"
  analyze_row 'DuckDB, latencies alone' "$tools/python/bin/python" "$root/scripts/bench/stages.py" "$work/analyzed.parquet"
  echo 'marks: tracer at least 20 M events/s of CPU, 3 times DuckDB, under 300 MiB'
  rm -f "$work/analyzed.trace" "$work/analyzed.parquet"
}
