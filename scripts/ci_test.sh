#!/usr/bin/env bash
# Tries scripts/ci.sh on the demo pipeline: it fails on a slower build and names the right stage, passes on the same build, and fails
# where a budget is broken. As root.
# usage: scripts/ci_test.sh TRACER       the demo programs stand beside TRACER
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[[ $# == 1 && -x $1 ]] || { sed -n 's/^# usage: /usage: /p' "${BASH_SOURCE[0]}" >&2; exit 2; }
TRACER=$(realpath "$1")
export TRACER
unset GITHUB_STEP_SUMMARY
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
build="$(dirname "$TRACER")/pipeline --rate 200 --count 200"

# Wide limits: what this tries is the job, and not how small a change it sees, on whatever machine.
# job NAME CODES NEW COMMAND, OPTIONS...: runs the job, which must end with one of the codes.
job() {
  local name=$1 codes=$2 new=$3 status=0
  scripts/ci.sh "$work/$name" 3 "$build" "$new" --judge p50 --min-change 60% "${@:4}" 2>"$work/$name.err" || status=$?
  if [[ " $codes " != *" $status "* ]]; then
    cat "$work/$name.err" "$work/$name/summary.md" >&2
    echo "ci_test.sh: $name: exit code $status, expected one of: $codes" >&2
    exit 1
  fi
}

# has FILE TEXT: the file holds the text.
has() { grep -qF -- "$2" "$1" || { cat "$1" >&2; echo "ci_test.sh: not in $1: $2" >&2; exit 1; }; }

job slower 1 "$build --awe 6ms"
has "$work/slower.err" "got slower: "
has "$work/slower.err" "awe"
has "$work/slower/summary.md" "awe"
has "$work/slower/junit.xml" '<testcase classname="stages" name="awe"><failure message="slower by p50'
has "$work/slower/junit.xml" '<testcase classname="stages" name="writing"/>'
# What an earlier job left is not compared.
mkdir -p "$work/same/new"
cp "$work/slower/new/1.trace" "$work/same/new/4.trace"
# Lost events on a busy machine are said with exit code 3.
job same "0 3" "$build" --fail-if 'awe.count < 100'
has "$work/same/summary.md" "new: 3 runs"
has "$work/same/junit.xml" '<testcase classname="stages" name="awe"/>'
job budget 1 "$build" --fail-if 'awe.p50 < 1s'
has "$work/budget.err" "the budget is broken: awe.p50 < 1s"
# Nothing is recorded where an option is wrong.
refused=0
for option in --force --junit=other.xml --min-change=x; do
  scripts/ci.sh "$work/refused" 3 "$build" "$build" $option 2>"$work/refused.err" || refused=$?
  [[ $refused == 2 && ! -e $work/refused ]] || { echo "ci_test.sh: $option: exit code $refused" >&2; exit 1; }
  has "$work/refused.err" "${option%%=*}"
done
echo "note: a slower build is named, the same one passes, a broken budget fails"
