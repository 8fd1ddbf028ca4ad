#!/usr/bin/env bash
# Writes what tracer makes of the sample traces beside them, or checks that it still makes the same.
# usage: scripts/bless.sh [--check | --record] TRACER
#   --check     compares and changes nothing; exit code 1 and a diff for every difference
#   --record    first makes the samples anew, as root, after a change of the format; the demo programs stand beside TRACER
# Samples of frozen versions, v*.trace, and their logs are never written: they are compared, whatever the mode.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/pipeline.sh
mode="write"
case ${1:-} in
  --check | --record) mode=${1#--} && shift ;;
esac
[[ $# == 1 && -x $1 ]] || { echo "usage: scripts/bless.sh [--check | --record] TRACER" >&2; exit 2; }
tracer=$(realpath "$1")
data="sample-traces/data"
work=$(mktemp -d /tmp/demo.XXXXXX)
trap 'stop_pipeline; rm -rf "$work"' EXIT

# lossy COMMAND...: exit code 3 (done, but some events were lost) is a result, not a failure.
lossy() { "$@" || [[ $? == 3 ]]; }

# ---- The samples themselves

# recorded NAME OPTIONS...: records in the work folder, on a host named demo; names and paths stay in the trace.
recorded() {
  local name=$1
  shift
  # shellcheck disable=SC2016
  (cd "$work" && lossy unshare --uts bash -c 'hostname demo && exec "$0" "$@"' \
    ./tracer record --quiet --force -o "$name.trace" "$@" 2>"$name.err") || { cat "$work/$name.err" >&2; return 1; }
  cp "$work/$name.trace" "$data/"
}

record() {
  local bin program
  bin=$(dirname "$tracer")
  for program in pipeline source processor sink tracer; do
    cp "$bin/$program" "$work/"
  done
  "$tracer" import --force -o "$data/documented-log.trace" "$data/documented-log.txt"

  start_pipeline "$work" --rate 60 --workers 2 --awe 15ms --writing 5ms
  recorded pipeline --duration 1s
  stop_pipeline

  # Where and when events are lost follows from the seed.
  "$bin/synth" --events 600 --workers 2 --rate 100 --loss 0.3 --block-events 200 --seed 2 -o "$data/lossy.trace" 2>/dev/null

  # Strings that are cut, and what was not recorded.
  "$bin/synth" --shape strings --events 200 --workers 2 --rate 100 --block-events 80 --max-string 12 --skipped \
    -o "$data/partial.trace" 2>/dev/null

  cp "$data/calls.py" "$work/"
  recorded strings -e 'python:function__*(str,str)' -- /usr/bin/python3.11 -S -E calls.py
  # Without the start of the interpreter.
  "$tracer" replay "$data/strings.trace" >"$work/log"
  "$tracer" cut --force "$work/strings.trace" -o "$data/strings.trace" --from "$(awk -F'[][]' '
    /PID:/ && !first { first = $2 }
    /calls.py/ && !call { call = $2 }
    END { print call - first }' "$work/log")ns"
}

# ---- What tracer makes of them

# expectations SAMPLE FOLDER: writes them into the folder.
expectations() {
  local at=$2/$1 trace=$data/$1.trace
  lossy "$tracer" replay "$trace" >"$at.txt"
  lossy "$tracer" analyze "$trace" >"$at.analyze.txt"
  lossy "$tracer" analyze --format json "$trace" >"$at.analyze.json"
  lossy "$tracer" info --counts "$trace" >"$at.info.txt"
} 2>/dev/null

# imported SAMPLE: the log of a sample becomes a trace that gives the same log.
imported() {
  lossy "$tracer" import --force -o "$work/imported.trace" "$data/$1.txt" 2>/dev/null
  lossy "$tracer" replay "$work/imported.trace" 2>/dev/null | diff -u "$data/$1.txt" -
}

# The one log that no tracer wrote: it is never overwritten.
imported documented-log
if [[ $mode == record ]]; then record; fi
target=$data
if [[ $mode == check ]]; then target=$work; fi
failed=0 samples=0
for trace in "$data"/*.trace; do
  sample=$(basename "$trace" .trace)
  samples=$((samples + 1))
  if [[ $sample == v[0-9]* ]]; then
    lossy "$tracer" replay "$trace" 2>/dev/null | diff -u "$data/$sample.txt" - || failed=1
    continue
  fi
  expectations "$sample" "$target"
  for kind in txt analyze.txt analyze.json info.txt; do
    diff -u "$data/$sample.$kind" "$target/$sample.$kind" || failed=1
  done
  imported "$sample" || failed=1
done
echo "note: $samples samples"
[[ $failed == 0 && $samples -gt 0 ]]
