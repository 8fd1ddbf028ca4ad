#!/usr/bin/env bash
# The proof campaign: damages traces in every way, fuzzes what reads them, kills recorders, fills disks, and counts. Prints a row
# for each; ends with an error if one of them found anything. A whole run fills the table of docs/campaign.md.
# usage: scripts/campaign.sh [--short] [damage|hostile|fuzz|kill|disk]...      default: all
#   --short            a minute of it, while working on the code; docs/campaign.md stays as it is
#   FUZZ_SECONDS=60    for each of the eight targets
#   KILLS=100          recorders that are killed
#   DISKS=16           disks that are filled, of 4 KiB to 1 MiB
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/install.sh
short=
[[ ${1:-} != --short ]] || { short=--short && shift; }
fuzz_seconds=${FUZZ_SECONDS:-${short:+2}} kills=${KILLS:-${short:+6}} disks=${DISKS:-${short:+3}}
fuzz_seconds=${fuzz_seconds:-60} kills=${kills:-100} disks=${disks:-16}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=()

# run COMMAND...: its output goes to $work/out; what it says is shown if it fails.
run() { "$@" >"$work/out" 2>&1 || { tail -n 60 "$work/out" >&2; return 1; }; }

# row WHAT COUNT RESULT COMMAND
row() { printf '| %s | %s | %s | %s |\n' "$1" "$2" "$3" "\`$4\`" | tee -a "$work/rows"; }

# part NAME: runs a part; the others go on if it finds something.
part() {
  "prove_$1" || {
    failed+=("$1")
    row "$1" - '**failed**' "scripts/campaign.sh $1"
  }
}

prove_damage() {
  local example='cargo run --release -p tracer-format --example damage'
  run cargo run --quiet --release --locked --package tracer-format --example damage -- ${short:+"$short"} \
    sample-traces/data/*.trace || return
  local traces
  traces=$(sed -n 's/^\([0-9]* traces, [0-9]* bytes\)$/\1/p' "$work/out")
  local kind count what
  while read -r _ kind count what; do
    row "$traces: ${what% (*}" "$count files" '0 panics, 0 wrong events, 0 events lost of intact blocks' \
      "$example sample-traces/data/*.trace $kind"
  done < <(sed -n '/^damage /{s/: / /;s/ files,//;p}' "$work/out")
}

prove_hostile() {
  run cargo test --quiet --release --locked --test command_line -- --nocapture hostile_file || return
  awk '/ verbs, / { files++; for (i = 1; i < NF; i++) if ($(i + 1) == "verbs,") runs += $i } END { print files, runs }' \
    "$work/out" >"$work/hostile"
  local files runs
  read -r files runs <"$work/hostile"
  row 'files made to harm their reader, or with very many of one thing, through every verb' "$files files, $runs runs" \
    'each ended by itself, in 64 MiB and 16 times its size, with one line' 'scripts/campaign.sh hostile'
  # What each file cost.
  sed -n '/ verbs, /s/^/    /p' "$work/out" >&2
}

prove_fuzz() {
  run format-spec/fuzz/run.sh "$fuzz_seconds" || return
  local name count
  while read -r _ name count; do
    row "fuzzing: $(fuzzed "$name")" "$count executions" '0 panics' "format-spec/fuzz/run.sh $fuzz_seconds $name"
  done < <(grep '^fuzz ' "$work/out")
}

# fuzzed TARGET: what the target reads, as its file says.
fuzzed() { sed -n '1{s/^\/\/! //;s/\.$//;p}' "format-spec/fuzz/targets/${1//-/_}.rs"; }

# live TEST: runs one of the tests that need root and eBPF.
live() {
  local host
  host=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
  [[ $(id -u) == 0 ]] || export "CARGO_TARGET_${host}_RUNNER=sudo --preserve-env"
  TRACER_KILLS=$kills TRACER_DISKS=$disks \
    run cargo test --quiet --release --locked --test harm -- --nocapture --include-ignored --exact "crash::$1"
}

# told NAME: what the test has to say of it: "campaign: NAME: HOW MANY, WHAT CAME OF IT".
told() { sed -n "s/^campaign: $1: //p" "$work/out"; }

prove_kill() {
  live killed_at_any_moment_it_loses_at_most_one_flush || return
  row 'recorders at work ended with kill -9, beside a witness' "$(told 'kill -9' | cut -d, -f1)" \
    "$(told 'kill -9' | cut -d, -f2- | sed 's/^ //')" "KILLS=$kills scripts/campaign.sh kill"
}

prove_disk() {
  live a_full_disk_ends_the_recording_with_one_line_and_a_readable_trace || return
  row 'a disk that fills up while recording, beside a witness' "$(told 'full disk' | cut -d, -f1)" \
    "$(told 'full disk' | cut -d, -f2- | sed 's/^ //'); one line, exit code 1" "DISKS=$disks scripts/campaign.sh disk"
}

need cc build-essential
need c++ build-essential
need_rust
whole=
[[ $# -gt 0 || $short ]] || whole=1
[[ $# -gt 0 ]] || set -- damage hostile fuzz kill disk
echo "$(uname -sr), $(nproc) CPUs, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n1)" | tee "$work/machine"
for name in "$@"; do
  case $name in
    damage | hostile | fuzz | kill | disk) part "$name" ;;
    *) echo "campaign.sh: found $name, expected damage, hostile, fuzz, kill or disk" >&2; exit 2 ;;
  esac
done
if [[ $whole && ${#failed[@]} == 0 ]]; then
  {
    echo "On $(cat "$work/machine"):"
    echo
    echo '| what | how many | what came of it | command |'
    echo '|---|---|---|---|'
    cat "$work/rows"
  } >"$work/table"
  sed -i -e "/^<!-- begin campaign -->/,/^<!-- end campaign -->/{/^<!-- begin/{p;r $work/table
};/^<!-- end/p;d}" docs/campaign.md
fi
[[ ${#failed[@]} == 0 ]] || { echo "campaign.sh: failed: ${failed[*]}" >&2; exit 1; }
