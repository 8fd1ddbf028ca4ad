#!/usr/bin/env bash
# How often tracer diff is wrong: compares runs of identical pipelines and of pipelines with one stage slower, counts the verdicts, and
# ends with an error if they are not as good as docs/ci.md says. Prints the table that stands there.
# usage: scripts/diff_trial.sh [--live] [--at-most N] BIN       the folder with tracer, synth and the demo pipeline
#   the usual way: simulated runs (synth), whose speed varies from run to run; a few minutes
#   --live: recordings of the demo pipeline, in turn, as root; half an hour
#   --at-most N: no more comparisons of a kind than these
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/install.sh
mode="simulated"
[[ ${1:-} != --live ]] || { mode=live && shift; }
at_most=1000
[[ ${1:-} != --at-most ]] || { at_most=${2:?"--at-most: a number is expected"} && shift 2; }
[[ $# == 1 && -x $1/tracer ]] || { sed -n 's/^# usage: /usage: /p' "${BASH_SOURCE[0]}" >&2; exit 2; }
need jq jq
bin=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
run=0 wrong=0

# run FILE TIMES PART: a run of a pipeline whose stage awe takes TIMES as long for that part of the buffers.
run() {
  run=$((run + 1))
  if [[ $mode == live ]]; then
    # 1.5 ms as it is. A part of slow buffers is a wider spread: with 3.66 times the mean it has the same median and 5 times the p90.
    local spread=0.4 times=$2
    [[ $3 == 1 ]] || { spread=1.66 && times=3.66; }
    as_root "$bin/tracer" record -q --force -o "$1" -e 'buffer_tracker:*' -- "$bin/pipeline" --count 500 --rate 300 \
      --seed "$run" --awe "$(awk "BEGIN { printf \"%.0f\", 1500 * $times }")us" --jitter "$spread" >/dev/null 2>&1 || [[ $? == 3 ]]
    return
  fi
  # From run to run the whole stage is faster or slower: by 1 %, one standard deviation.
  local times
  times=$(awk -v seed="$run" -v times="$2" 'BEGIN { srand(seed); for (i = 0; i < 12; i++) sum += rand(); printf "%.5f", times * (1 + (sum - 6) / 100) }')
  if [[ $3 == 1 ]]; then
    "$bin/synth" --events 6000 --rate 2000 --seed "$run" --slow "$times" -o "$1" 2>/dev/null
  else
    "$bin/synth" --events 6000 --rate 2000 --seed "$run" --slow "$2" --slow-part "$3" -o "$1" 2>/dev/null
  fi
}

# trial NAME COMPARISONS RUNS TIMES PART LEAST MOST OPTIONS...: compares base and new; in LEAST to MOST of the comparisons a stage must
# be called slower, and where the new side is slower, the stage awe.
trial() {
  local name=$1 comparisons=$2 runs=$3 times=$4 part=$5 least=$6 most=$7 called=0 stages=0
  local wanted='(.slower | length) > 0'
  ((least == 0)) || wanted='.slower | index("awe") != null'
  if ((comparisons > at_most)); then
    least=$((least * at_most / comparisons))
    [[ $most != "$comparisons" ]] || most=$at_most
    comparisons=$at_most
  fi
  for ((at = 0; at < comparisons; at++)); do
    rm -rf "$work/base" "$work/new"
    mkdir "$work/base" "$work/new"
    for ((each = 0; each < runs; each++)); do
      run "$work/base/$each.trace" 1 1
      run "$work/new/$each.trace" "$times" "$part"
    done
    "$bin/tracer" diff --format json --base "$work/base/*.trace" --new "$work/new/*.trace" "${@:8}" \
      >"$work/diff.json" 2>/dev/null || true
    [[ $(jq "$wanted" "$work/diff.json") != true ]] || called=$((called + 1))
    stages=$((stages + $(jq '.stages | length' "$work/diff.json")))
  done
  local verdict=right
  ((called >= least && called <= most)) || { verdict=WRONG; wrong=$((wrong + 1)); }
  printf '| %s | %d | %d | %d of %d (%d to %d wanted) | %s |\n' "$name" "$runs" "$stages" "$called" "$comparisons" "$least" "$most" "$verdict"
}

echo "$mode runs; load of the machine before: $(cut -d' ' -f1-3 /proc/loadavg), $(nproc) processors"
echo '| what | runs a side | stages compared | called slower | |'
echo '|---|--:|--:|---|---|'
trial 'identical' 40 3 1 1 0 1
trial 'awe 10 % slower' 20 3 1.1 1 20 20
trial 'p90 of awe grows 5 times, same p50' 10 3 5 0.15 10 10
trial 'awe 5 % slower, --min-change 2%' 20 8 1.05 1 18 20 --min-change 2%
echo "load after: $(cut -d' ' -f1-3 /proc/loadavg)"
[[ $wrong == 0 ]]
