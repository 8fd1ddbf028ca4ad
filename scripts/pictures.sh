#!/usr/bin/env bash
# Makes the pictures of the documents anew: a trace in Perfetto, a report (light, dark, on a phone, printed), stages live in a terminal.
# usage: scripts/pictures.sh TRACER     synth is beside TRACER; look at what it made before it is committed
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/install.sh
[[ $# == 1 && -x $1 ]] || { sed -n 's/^# usage/usage/p' "${BASH_SOURCE[0]}" >&2; exit 2; }
tracer=$(realpath "$1")
need tmux tmux
TRACER_VALIDATORS=$(scripts/validators/setup.sh)
export TRACER_VALIDATORS LC_ALL=C.UTF-8
work=$(mktemp -d)
tmux=(tmux -L "tracer-pictures-$$" -f /dev/null)
trap '"${tmux[@]}" kill-server 2>/dev/null || true; rm -rf "$work"' EXIT

"$tracer" export sample-traces/data/pipeline.trace -o "$work/run.pftrace"
node scripts/validators/perfetto_ui.mjs "$work/run.pftrace" docs/perfetto.png 300 480 >/dev/null

"$tracer" report sample-traces/data/pipeline.trace -o "$work/report.html"
"$tracer" analyze sample-traces/data/pipeline.trace --worst 10 --format json >"$work/report.json"
SHOT_HEIGHT=2350 node scripts/validators/report.mjs "$work/report.html" "$work/report.json" docs/report-

# A trace that is played: what else runs on this machine is no part of the picture.
"$(dirname "$tracer")/synth" -o "$work/run.trace" --events 18000 2>/dev/null
"${tmux[@]}" new-session -d -s top -x 100 -y 21 -c "$work" "env -u NO_COLOR TERM=xterm-256color $tracer top --speed 0.01 run.trace"
for ((try = 0; try < 600; try++)); do
  "${tmux[@]}" capture-pane -p -t top | grep -qE '^0[.]1 s|ended' && break
  sleep 0.1
done
"${tmux[@]}" capture-pane -e -p -t top | node scripts/validators/terminal_picture.mjs docs/top.png
"${tmux[@]}" send-keys -t top q
