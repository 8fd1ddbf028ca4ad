# shellcheck shell=bash disable=SC2154
# Part of bench.sh, which sets its variables: how much of reading a trace goes on side by side. Each verb runs on one CPU and on all, in
# turns. CPUs that share a core or memory are worth less than their number: n is what copies of one command gain that run side
# by side, each on a CPU of its own. What does not go on side by side, by Amdahl's law, is (n T(all) / T(one) - 1) / (n - 1) of the
# time; from that follows what sixteen whole CPUs would give.
#   READ_EVENTS=5000000    events

# cores_row NAME COMMAND...: the least wall times of a command on one CPU and on all.
cores_row() {
  local name=$1 round one all
  shift
  for ((round = 0; round < rounds; round++)); do
    seconds taskset --cpu-list 0 "$@" >>"$work/one" && echo >>"$work/one"
    seconds "$@" >>"$work/all" && echo >>"$work/all"
  done
  one=$(sort -g "$work/one" | head -n1) all=$(sort -g "$work/all" | head -n1)
  rm -f "$work/one" "$work/all"
  awk -v name="$name" -v one="$one" -v all="$all" -v n="$worth" 'BEGIN {
    serial = n > 1 ? (n * all / one - 1) / (n - 1) : 1
    serial = serial < 0 ? 0 : serial > 1 ? 1 : serial
    printf "%-28s %8.3f s %8.3f s %7.2f %9.0f %% %9.1f\n", name, one, all, one / all, 100 * serial, 1 / (serial + (1 - serial) / 16)
  }'
}

# copies COMMAND...: runs the command on each CPU at a time.
copies() {
  local cpu pids=()
  for ((cpu = 0; cpu < $(nproc); cpu++)); do
    lossy taskset --cpu-list "$cpu" "$@" >/dev/null &
    pids+=($!)
  done
  wait "${pids[@]}"
}

# worth COMMAND...: how many times as much the CPUs do together as one does.
worth() {
  local round
  for ((round = 0; round < rounds; round++)); do
    seconds taskset --cpu-list 0 "$@" >>"$work/one" && echo >>"$work/one"
    seconds copies "$@" >>"$work/all" && echo >>"$work/all"
  done
  awk -v one="$(sort -g "$work/one" | head -n1)" -v all="$(sort -g "$work/all" | head -n1)" -v n="$(nproc)" \
    'BEGIN { printf "%.2f", n * one / all }'
  rm -f "$work/one" "$work/all"
}

cores() {
  local count=${READ_EVENTS:-5000000} trace=$work/cores.trace worth
  say "one CPU and all $(nproc): $count events of the synthetic pipeline (least of $rounds rounds)"
  "$bin/synth" -o "$trace" --events "$count" --shape pipeline 2>"$work/err"
  worth=$(worth "$bin/tracer" analyze "$trace")
  echo "copies side by side on the $(nproc) CPUs do $worth times as much as one"
  printf '%-28s %10s %10s %7s %11s %9s\n' '' 'one CPU' all times serial 'of 16'
  cores_row verify "$bin/tracer" verify "$trace"
  cores_row replay "$bin/tracer" replay "$trace"
  cores_row analyze "$bin/tracer" analyze "$trace"
  cores_row 'diff, with itself' "$bin/tracer" diff "$trace" "$trace"
  cores_row repair "$bin/tracer" repair "$trace" --force -o "$work/cores.out"
  cores_row merge "$bin/tracer" merge --force -o "$work/cores.out" "$trace" "$trace"
  for format in chrome perfetto parquet csv; do
    cores_row "export, $format" "$bin/tracer" export --force --format "$format" "$trace" -o "$work/cores.$format"
  done
  rm -rf "$trace" "$work"/cores.*
}
