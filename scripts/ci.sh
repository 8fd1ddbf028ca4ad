#!/usr/bin/env bash
# The CI job as a plain shell script: records two builds of a program in turn, and compares them. docs/ci.md has the same as a workflow.
# usage: scripts/ci.sh OUT RUNS 'BASE COMMAND' 'NEW COMMAND' [OPTION OF tracer diff...]
# Records each command RUNS times to OUT/base/N.trace and OUT/new/N.trace; three or more tell a change from what differs between runs.
# Writes OUT/summary.md, OUT/diff.json and OUT/junit.xml. TRACER is the tool (tracer), EVENTS are the probes, spaces between (buffer_tracker:*), and the
# commands run as the user USER_OF_JOB if that is set. Exit code: that of tracer diff: 0 no stage got slower, 1 one did or the budget is
# broken, 3 as far as can be said; also 1 if a command failed, or none of the EVENTS fired in a run of the new one. What an earlier job
# left in OUT is not compared.
set -euo pipefail
[[ $# -ge 4 && $2 =~ ^[1-9][0-9]*$ ]] || { sed -n 's/^# usage: /usage: /p' "${BASH_SOURCE[0]}" >&2; exit 2; }
out=$1 runs=$2 base=$3 new=$4
shift 4
# With its path: sudo may look elsewhere.
tracer=$(command -v "${TRACER:-tracer}") || { echo "ci.sh: there is no program ${TRACER:-tracer}: set TRACER" >&2; exit 2; }
read -ra probes <<<"${EVENTS:-buffer_tracker:*}"
user=${USER_OF_JOB:+--user=$USER_OF_JOB}

# record SIDE NUMBER COMMAND [OPTION...]: one run. That some events were lost (exit code 3) is for the comparison to judge.
record() {
  local status=0 log=$out/$1/$2.log
  $sudo "$tracer" record --quiet --force -o "$out/$1/$2.trace" "${probes[@]/#/--event=}" ${user:+"$user"} "${@:4}" \
    -- bash -c "$3" >"$log" 2>&1 || status=$?
  case $status in
    0) ;;
    3) sed -n "s|^tracer: |ci.sh: $1 run $2: |p" "$log" >&2 ;;
    *)
      cat "$log" >&2
      echo "ci.sh: recording the $1 command ended with exit code $status: $3" >&2
      exit 1
      ;;
  esac
}

# compare OPTION...: the runs of this job, by their numbers: OUT may hold more of an earlier one, and its name may look like a pattern.
compare() {
  local sides=(--base) run
  for ((run = 1; run <= runs; run++)); do sides+=("$out/base/$run.trace"); done
  sides+=(--new)
  for ((run = 1; run <= runs; run++)); do sides+=("$out/new/$run.trace"); done
  "$tracer" diff "$@" "${sides[@]}"
}

for option in "$@"; do
  case $option in
    --base | --base=* | --new | --new=* | --format | --format=* | --junit | --junit=* | --force | -f)
      echo "ci.sh: $option is not for you to give: this script sets it, and writes summary.md, diff.json and junit.xml" >&2
      exit 2
      ;;
  esac
done
# A mistake in the options is said before anything is recorded: right ones end with 3, as there is no trace yet.
status=0
said=$("$tracer" diff "$@" --base '/dev/null/*' --new '/dev/null/*' 2>&1) || status=$?
[[ $status == 3 ]] || { echo "$said" >&2; exit "$status"; }

sudo=
[[ $(id -u) == 0 ]] || sudo="sudo"
mkdir -p "$out/base" "$out/new"
rm -f "$out/summary.md" "$out/diff.json" "$out/junit.xml"
# In turn: what slows the machine down for a while slows both.
for ((run = 1; run <= runs; run++)); do
  # Where the base has no probes yet, nothing can be compared; where the new build has none, something is wrong.
  record base "$run" "$base"
  record new "$run" "$new" --require-events 1
done
status=0
compare --format markdown --junit "$out/junit.xml" --force "$@" >"$out/summary.md" 2>"$out/diff.log" || status=$?
compare --format json "$@" >"$out/diff.json" 2>/dev/null || [[ -s $out/diff.json ]] || rm "$out/diff.json"
cat "$out/diff.log" >&2
if [[ ${GITHUB_STEP_SUMMARY:-} ]]; then
  cat "$out/summary.md" >>"$GITHUB_STEP_SUMMARY"
fi
exit "$status"
