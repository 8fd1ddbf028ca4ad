#!/usr/bin/env bash
# A fleet: makes traces of 20 synthetic hosts, adds them to a dataset, and asks the questions of scripts/sql on DuckDB and on a local Spark.
# Ends with an error if analyze, DuckDB and Spark differ, if what was planted is not found, or if a reader ever sees a broken or doubled
# row while the exporter is killed. Prints the tables that stand in docs/fleet.md.
# usage: scripts/fleet.sh [--small] BIN       the folder with tracer and synth
#   the usual way: 10, 100 and 1000 traces, on both engines; installs Spark (450 MB) and Java where they are not there
#   --small: 10 traces; on Spark only if it is there
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/install.sh
sizes=(10 100 1000) small=""
[[ ${1:-} != --small ]] || { small=yes && sizes=(10) && shift; }
[[ $# == 1 && -x $1/tracer && -x $1/synth ]] || { sed -n 's/^# usage: /usage: /p' "${BASH_SOURCE[0]}" >&2; exit 2; }
need jq jq
bin=$(realpath "$1")
duckdb=$(scripts/validators/setup.sh)/python/bin/python
spark=${TRACER_SPARK:-${XDG_CACHE_HOME:-$HOME/.cache}/tracer-spark}/bin/python
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/traces"

# lossy COMMAND...: exit code 3 (done, but some events were lost) is a result, not a failure.
lossy() { "$@" 2>"$work/err" || [[ $? == 3 ]] || { cat "$work/err" >&2; return 1; }; }

install_spark() {
  local folder
  folder=$(dirname "$(dirname "$spark")")
  [[ -x $spark ]] && "$spark" -c 'import pyspark' 2>/dev/null && return
  /usr/bin/python3 -c 'import ensurepip' 2>/dev/null || install_packages python3-venv
  /usr/bin/python3 -m venv "$folder"
  "$spark" -m pip install --quiet setuptools wheel
  "$spark" -m pip install --quiet pyspark==4.3.0
}

# trace NUMBER: a trace of one of 20 hosts, on one of 28 days; one host loses events, and the last week's build is slower.
trace() {
  local number=$1 day options=()
  day=$((number % 28 + 1))
  [[ $((number % 20)) != 3 ]] || options+=(--loss 0.1)
  [[ $day -le 21 ]] || options+=(--slow 1.15)
  "$bin/synth" --events 6000 --rate 2000 --seed "$number" --host "$(printf 'host%02d' $((number % 20)))" "${options[@]}" \
    --start "$(printf '2026-05-%02dT%02d:00:00Z' "$day" $((number % 24)))" -o "$work/traces/$number.trace" 2>/dev/null
}

# A queue that grows: work comes every 100 us and takes 150.
growing() {
  local buffer from
  for ((buffer = 1; buffer <= 400; buffer++)); do
    from=$((buffer * 150000 + 5000))
    printf '%016d [PID:     17] source       shop:beg_order                  | Seq: %d\n' $((buffer * 100000)) "$buffer"
    printf '%016d [PID:     18] packer       shop:beg_pack                   | Seq: %d\n' $from "$buffer"
    printf '%016d [PID:     18] packer       shop:end_pack                   | Seq: %d\n' $((from + 140000)) "$buffer"
    printf '%016d [PID:     19] sink         shop:end_order                  | Seq: %d\n' $((from + 143000)) "$buffer"
  done | sort -n | sed -E 's/^0*([0-9]+)/[\1]/; s/^\[([0-9]+)\]/[          \1]/'
}

# add FIRST LAST: makes these traces, analyzes them, and adds them, each week's with the commit of that week. Prints the seconds that adding took.
add() {
  local number week day files start=0 seconds=0
  for ((number = $1; number <= $2; number++)); do
    trace "$number"
  done
  for ((number = $1; number <= $2; number++)); do
    lossy "$bin/tracer" analyze "$work/traces/$number.trace" --format json >"$work/traces/$number.json"
  done
  for week in 1 2 3 4; do
    files=()
    for ((number = $1; number <= $2; number++)); do
      day=$((number % 28 + 1))
      [[ $(((day + 6) / 7)) != "$week" ]] || files+=("$work/traces/$number.trace")
    done
    [[ ${#files[@]} -gt 0 ]] || continue
    start=$(date +%s%N)
    lossy "$bin/tracer" export --dataset "$work/dataset" --suite nightly --commit "commit$week" "${files[@]}"
    seconds=$((seconds + $(date +%s%N) - start))
  done
  awk -v ns="$seconds" 'BEGIN { printf "%.2f\n", ns / 1e9 }'
}

[[ -n $small ]] || { need java openjdk-17-jre-headless && install_spark; }
engines=(duckdb)
! { [[ -x $spark ]] && "$spark" -c 'import pyspark' && command -v java; } >/dev/null 2>&1 || engines+=(spark)
growing >"$work/growing.log"
"$bin/tracer" import "$work/growing.log" -o "$work/traces/growing.trace" 2>/dev/null
lossy "$bin/tracer" analyze "$work/traces/growing.trace" --format json >"$work/traces/growing.json"
lossy "$bin/tracer" export --dataset "$work/dataset" --suite nightly --date 2026-05-01 "$work/traces/growing.trace"

echo "load $(cut -d' ' -f1-3 /proc/loadavg), $(nproc) processors"
made=0
for size in "${sizes[@]}"; do
  seconds=$(add $((made + 1)) "$size")
  echo "$size traces: $((size - made)) added in $seconds s; $(du -sb --exclude=.tracer "$work/dataset" | cut -f1) bytes in $(find "$work/dataset" -name '*.parquet' | wc -l) files"
  made=$size
  answers=()
  for engine in "${engines[@]}"; do
    answers+=("$work/$size.$engine.json")
    "${!engine}" scripts/fleet/ask.py "$engine" "$work/dataset" scripts/sql/*.sql >"$work/$size.$engine.json" 2>"$work/err" ||
      { tail -n 20 "$work/err" >&2; exit 1; }
  done
  "$duckdb" scripts/fleet/compare.py "$work/traces" "${answers[@]}"
done

echo
echo "| question |$(printf ' %s traces, DuckDB | Spark, shuffled |' "${sizes[@]}")"
echo "|---|$(printf -- '--:|--:|%.0s' "${sizes[@]}")"
for question in $(jq -r '.seconds | keys_unsorted[]' "$work/${sizes[0]}.duckdb.json"); do
  line="| $question |"
  for size in "${sizes[@]}"; do
    line+=" $(jq -r --arg q "$question" '.seconds[$q]' "$work/$size.duckdb.json") s |"
    [[ -e $work/$size.spark.json ]] || { line+=" |" && continue; }
    line+=" $(jq -r --arg q "$question" '"\(.seconds[$q]) s, \(.shuffle_bytes[$q] / 1000 | round) kB"' "$work/$size.spark.json") |"
  done
  echo "$line"
done

# Merged files hold the same rows.
lossy "$bin/tracer" export --dataset "$work/dataset" --compact
echo
echo "merged: $(find "$work/dataset" -name '*.parquet' | wc -l) files"
"$duckdb" scripts/fleet/schema.py "$work/dataset"
"$duckdb" scripts/fleet/ask.py duckdb "$work/dataset" scripts/sql/*.sql >"$work/merged.json"
"$duckdb" scripts/fleet/compare.py "$work/traces" "$work/merged.json"

# The same traces into another dataset, while a reader asks and the exporter is killed again and again.
"$duckdb" scripts/fleet/kill.py "$bin/tracer" "$work/killed" "$work"/traces/[1-9].trace "$work/traces/10.trace"
