#!/usr/bin/env bash
# Records the demo pipeline while nothing is wrong with it, again and again: other rates, workers, spreads and batches each
# time. Prints the verdict and what analyze finds of each; ends with an error if it finds anything, or names a bottleneck.
# The pipeline runs with a priority above all else: what a busy machine takes from it would be found, and rightly so. Where the
# machine itself stands still, which processes that watch for that tell, a stall is no false finding.
# usage: scripts/calm.sh [N]      default: 50 recordings. KEEP=FOLDER keeps the traces, and looks at those again that it has
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/install.sh
source scripts/pipeline.sh
count=${1:-50} bin=${CARGO_TARGET_DIR:-target}/${TRACER_PROFILE:-debug}
need jq jq
need chrt util-linux
work=$(mktemp -d)
traces=${KEEP:-$work}
mkdir -p "$traces"
trap 'stop_pipeline; rm -rf "$work"' EXIT

# watch_machine FILE: while the pipeline runs, times in which the machine stands still go to FILE.
watch_machine() {
  local cpu
  : >"$1"
  for ((cpu = 0; cpu < $(nproc); cpu++)); do
    as_root python3 scripts/calm/pauses.py "$cpu" "$pipeline" >>"$1" &
  done
}

# record NUMBER FILE: a recording whose options follow from its number.
record() {
  local seed=$1 workers=$(($1 % 4 + 1)) rates=(60 120 200) spreads=(0 0.2 0.4 0.6) batches=(1 1 1 4 12)
  local options=(--seed "$seed" --workers "$workers" --jitter "${spreads[$((seed / 4 % 4))]}")
  options+=(--rate $((rates[seed % 3] * workers)) --batch "${batches[$((seed % 5))]}")
  start_pipeline "$bin" "${options[@]}"
  local child children ours=()
  read -ra children <"/proc/$pipeline/task/$pipeline/children" || true
  for child in "${children[@]}"; do
    as_root chrt --all-tasks --fifo --pid 50 "$child"
    ours+=(-p "$child")
  done
  watch_machine "$2.pauses"
  as_root "$bin/tracer" record -q --force -o "$2" "${ours[@]}" -e 'buffer_tracker:*' --duration 2500ms
  stop_pipeline 2>/dev/null
  wait
  printf '%s' "${options[*]}" >"$2.options"
}

wrong=0 verdicts=0
for number in $(seq "$count"); do
  trace=$traces/$number.trace
  [[ -e $trace ]] || record "$number" "$trace"
  "$bin/tracer" analyze --format json "$trace" >"$work/report" || [[ $? == 3 ]]
  printf '%3d  %-64s %s\n' "$number" "$(cat "$trace.options")" "$(jq -r '.verdict | "\(.kind): \(.text)"' "$work/report")"
  jq -r '.findings[] | "     \(.kind): \(.text)"' "$work/report"
  jq -r --arg pauses "$(cat "$trace.pauses")" --from-file scripts/calm/false.jq "$work/report" >"$work/false"
  cat "$work/false"
  wrong=$((wrong + $(wc -l <"$work/false")))
  jq -e '.verdict.kind | IN("source", "near", "unclear")' "$work/report" >/dev/null || verdicts=$((verdicts + 1))
done
echo "$count calm recordings: $wrong false findings, $verdicts false verdicts"
[[ $wrong == 0 && $verdicts == 0 ]]
