#!/usr/bin/env bash
# Records the demo pipeline with one thing wrong at a time, and compares what analyze says with what was done: that must be named,
# and nothing else. Prints a line for each; ends with an error if one is not named, or something else is.
# usage: scripts/planted.sh [NAME...]      default: all; the names are in the list at the end of this file
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/install.sh
bin=${CARGO_TARGET_DIR:-target}/${TRACER_PROFILE:-debug}
need jq jq
need chrt util-linux
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
wrong=0 chosen=("$@")

# pid_of PROGRAM: its process, of the pipeline that is recorded; waits for it.
pid_of() {
  local parents=$recorder found=
  until [[ $found ]]; do
    sleep 0.05
    # The recorder's children, and theirs.
    parents=$recorder,$(pgrep -d, -P "$parents") || true
    found=$(pgrep -x -P "$parents" "$1") || true
  done
  echo "$found"
}

# hold PROGRAM SECONDS: it stands still for so long.
hold() {
  local pid
  pid=$(pid_of "$1")
  as_root kill -STOP "$pid"
  sleep "$2"
  as_root kill -CONT "$pid"
}

hold_once() { pid_of sink >/dev/null; sleep 1; hold "$1" 0.1; }

hold_often() {
  pid_of sink >/dev/null
  for _ in 1 2 3 4 5 6 7; do
    sleep 0.415
    hold "$1" 0.04
  done
}

# planted NAME VERDICT FINDINGS MEANWHILE OPTIONS...: records the pipeline with these options, and does MEANWHILE. The verdict is
# "kind program by"; findings are "kind program subject", in any order. A star stands for anything.
planted() {
  local name=$1 verdict=$2 findings=$3 meanwhile=$4
  [[ ${#chosen[@]} == 0 || " ${chosen[*]} " == *" $name "* ]] || return 0
  # What a busy machine takes from the pipeline would be found, and rightly so: nothing else may have the processors.
  as_root "$bin/tracer" record -q --force -o "$work/run.trace" -e 'buffer_tracker:*' -- \
    chrt --fifo 50 "$bin/pipeline" --jitter 0.2 "${@:5}" >"$work/log" 2>&1 &
  recorder=$!
  $meanwhile
  # A pipeline that lost buffers on purpose says so.
  wait "$recorder" || true
  "$bin/tracer" analyze --format json "$work/run.trace" >"$work/report" || [[ $? == 3 ]]
  local said found
  said=$(jq -r '.verdict | "\(.kind) \(.program) \(.lock // .by // "-")"' "$work/report")
  found=$(jq -r '[.findings[] | "\(.kind) \(.program // "-") \(.subject // "-")"] | unique | join(", ")' "$work/report")
  # shellcheck disable=SC2053  # The right sides are patterns.
  if [[ $said == $verdict && $found == $findings ]]; then
    printf 'ok     %-14s %s; %s\n' "$name" "$said" "${found:-nothing found}"
  else
    wrong=$((wrong + 1))
    printf 'WRONG  %-14s said: %s; %s\n       %-14s not: %s; %s\n' "$name" "$said" "$found" '' "$verdict" "$findings"
    jq -r '.verdict.text, .findings[].text' "$work/report" | sed 's/^/         /'
  fi
}

planted calm 'source source *' '' true --rate 200 --count 500
planted slow-awe 'bottleneck processor awe' '' true --rate 400 --count 400 --awe 6ms
planted slow-writing 'bottleneck processor writing' '' true --rate 400 --count 400 --writing 6ms
planted lock 'bottleneck processor writing' '' true --rate 900 --count 800 --workers 4 --awe 500us --writing 3ms
planted slow-sink 'bottleneck sink *' '' true --rate 400 --count 400 --take 8ms
planted overload 'overload processor awe' '' true --rate 400 --count 800 --awe 3ms --writing 200us --size 0
planted stop-source 'source source *' 'stall source -' 'hold_once source' --rate 200 --count 700
planted stop-processor 'source source *' 'stall processor -' 'hold_once processor' --rate 200 --count 700
planted stop-sink 'source source *' 'stall sink -' 'hold_once sink' --rate 200 --count 700
planted stop-often 'source source *' 'periodic_stall processor -*' 'hold_often processor' --rate 200 --count 1000
planted lost 'source source *' 'lost - end_awe' true --rate 200 --count 400 --drop 150
planted skipped 'source source *' 'skipped - beg_global' true --rate 200 --count 400 --leave-out 150,151
planted duplicated 'source source *' 'duplicated - end_global' true --rate 200 --count 400 --twice 150

echo "wrong: $wrong"
[[ $wrong == 0 ]]
