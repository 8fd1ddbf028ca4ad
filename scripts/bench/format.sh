# shellcheck shell=bash disable=SC2154
# Part of bench.sh, which sets its variables: bytes per event of the same events in different clothes, and what it takes to put them on and off.
#   EVENTS=1000000         events of each synthetic workload
#   CTF_EVENTS=200000      of them, those that go to CTF: babeltrace2's writer takes 40000 a second

# Shape of synth, and what it is called.
workloads=('loop:tight loop' 'pipeline:jittery pipeline' 'workers:32 workers' 'strings:string arguments')

format() {
  local events=${EVENTS:-1000000} ctf_events=${CTF_EVENTS:-200000} workload
  say "$events events of each workload in other formats, B/event"
  for workload in "${workloads[@]}"; do
    "$bin/synth" -o "$work/${workload%%:*}.synth" --events "$events" --shape "${workload%%:*}" 2>"$work/err"
  done
  rates >"$work/rates"
  for workload in "${workloads[@]}"; do
    sizes "${workload%%:*}" "$events" "$ctf_events" >"$work/sizes.${workload%%:*}"
  done
  table
  echo "marks: at most 3 B/event (jittery pipeline) and 1.2 (tight loop); encode 15, decode 60 M events/s"
  recordings
}

# rates: lines "TRACE EVENTS BYTES ENCODE DECODE".
rates() {
  local workload traces=()
  for workload in "${workloads[@]}"; do traces+=("$work/${workload%%:*}.synth"); done
  "$bin/examples/rates" "${traces[@]}"
}

# sizes SHAPE EVENTS CTF_EVENTS: lines "NAME: BYTES PER EVENT".
sizes() {
  local trace=$work/$1.synth events=$2 python
  python=$(validators)/python/bin/python
  "$bin/tracer" export "$trace" --force -o "$work/export.parquet"
  "$bin/tracer" export "$trace" --force -o "$work/export.arrow"
  size 'tracer' "$trace" "$events"
  "$python" "$root/scripts/bench/columns.py" "$work/export.parquet" "$work" |
    awk -F': ' -v n="$events" '{ printf "%s: %s: %.2f\n", $1, $2, $3 / n }'
  size 'tracer export .parquet: all of that, wall time, host, program, arguments' "$work/export.parquet" "$events"
  size 'tracer export .arrow, not compressed: the same' "$work/export.arrow" "$events"
  ctf "$trace" "$3"
  "$bin/tracer" replay "$trace" >"$work/log"
  size 'documented log: ts, pid, program, probe, seq, string' "$work/log" "$events"
  zstd -q3f "$work/log" -o "$work/log.zst"
  size 'documented log, zstd -3' "$work/log.zst" "$events"
  rm -f "$work/log" "$work"/export.*
}

# size NAME FILE EVENTS
size() { awk -v name="$1" -v bytes="$(stat -c %s "$2")" -v n="$3" 'BEGIN { printf "%s: %.2f\n", name, bytes / n }'; }

# ctf TRACE EVENTS: the first of its events, as babeltrace2 writes them.
ctf() {
  local events
  rm -rf "$work/ctf"
  events=$("$bin/tracer" export "$1" --format csv -o - | head -n $(($2 + 1)) |
    /usr/bin/python3 "$root/scripts/bench/ctf.py" "$work/ctf")
  tar -C "$work" -cf "$work/ctf.tar" ctf
  zstd -q3f "$work/ctf.tar" -o "$work/ctf.tar.zst"
  awk -v bytes="$(du -sb --apparent-size "$work/ctf" | cut -f1)" -v packed="$(stat -c %s "$work/ctf.tar.zst")" -v n="$events" 'BEGIN {
    printf "CTF by babeltrace2: ts, pid, tid, cpu, seq, probe, string: %.2f\n", bytes / n
    printf "the same, tar and zstd -3: %.2f\n", packed / n
  }'
}

# table: the figures of all workloads side by side.
table() {
  local workload files=()
  for workload in "${workloads[@]}"; do files+=("$work/sizes.${workload%%:*}"); done
  {
    printf '|'
    printf ' | %s' "${workloads[@]#*:}"
    printf ' |\n|---|---|---|---|---|\n'
    awk '{ n = split($0, part, ": "); value = part[n]; name = substr($0, 1, length($0) - length(value) - 2)
        if (!(name in row)) order[++rows] = name
        row[name] = row[name] " | " value }
      END { for (i = 1; i <= rows; i++) print "| " order[i] row[order[i]] " |" }' "${files[@]}"
    awk '{ encode = encode " | " $4; decode = decode " | " $5 }
      END { print "| tracer, encode, M events/s of one core" encode " |"; print "| tracer, decode" decode " |" }' "$work/rates"
  }
}

# recordings: live ones, each by its own tool, of the demo pipeline and of a loop.
recordings() {
  local size workload events contexts folder
  record_pipeline "$work/pipeline.trace" --rate 1000 --workers 2 --awe 500us --writing 100us
  [[ -s $work/hit.trace ]] || hammer_tracer >"$work/err" 2>&1
  for workload in 'pipeline:jittery pipeline, 2 workers' 'hit:tight loop, 1 thread'; do
    say "bytes per event, recorded live: ${workload#*:}"
    local trace=$work/${workload%%:*}.trace
    lossy "$bin/tracer" replay "$trace" 2>/dev/null >"$work/log"
    events=$(grep -c '^\[ *[0-9]*\] \[PID:' "$work/log")
    row format bytes B/event
    for size in "run.trace:$trace" $(exports_of "$trace" parquet arrow csv json); do
      row "${size%%:*}" "$(stat -c %s "${size#*:}")" "$(ratio "$(stat -c %s "${size#*:}")" "$events")"
    done
    row 'documented log' "$(stat -c %s "$work/log")" "$(ratio "$(stat -c %s "$work/log")" "$events")"
    row 'documented log, zstd -3' "$(zstd -q3c "$work/log" | wc -c)" "$(ratio "$(zstd -q3c "$work/log" | wc -c)" "$events")"
  done
  perf_probe
  hammer_perf >"$work/err" 2>&1
  events=$(recorded_by_perf)
  row 'perf.data: ts, pid, tid, cpu, seq, ip' "$(stat -c %s "$work/hit.perf")" "$(ratio "$(stat -c %s "$work/hit.perf")" "$events")"
  lttng_tools || { echo 'LTTng: not measured, it cannot be installed'; return 0; }
  for contexts in '' 'vpid vtid' 'vpid vtid procname'; do
    folder=$work/lttng.ctf
    # shellcheck disable=SC2086
    # One word for each.
    lttng_record "$folder" "$hits" $contexts || return
    row "LTTng-UST: ts, cpu, seq${contexts:+, ${contexts// /, }}" "$(du -sb "$folder" | cut -f1)" \
      "$(ratio "$(du -sb "$folder" | cut -f1)" "$hits")"
  done
}

# record_pipeline FILE OPTIONS...: records the demo pipeline.
record_pipeline() {
  start_pipeline "$bin" "${@:2}"
  lossy "$bin/tracer" record --force -o "$1" --duration 10s 2>"$work/err" >&2
  stop_pipeline
}

# row NAME BYTES BYTES_PER_EVENT
row() { printf '%-44s %12s %10s\n' "$@"; }

# exports_of TRACE FORMAT...: "FORMAT:FILE" for each export.
exports_of() {
  local trace=$1 format
  shift
  for format in "$@"; do
    lossy "$bin/tracer" export "$trace" --force -o "$work/export.$format" >&2 2>"$work/err"
    echo "$format:$work/export.$format"
  done
}
