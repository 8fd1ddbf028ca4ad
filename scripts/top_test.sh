#!/usr/bin/env bash
# Drives `tracer top` in a terminal (tmux) beside the demo pipeline: what it shows, keys, small windows, how it leaves the terminal.
# usage: scripts/top_test.sh TRACER     as root; the demo's programs are beside TRACER
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/install.sh
source scripts/pipeline.sh
[[ $# == 1 && -x $1 ]] || { sed -n 's/^# usage/usage/p' "${BASH_SOURCE[0]}" >&2; exit 2; }
tracer=$(realpath "$1")
need tmux tmux
work=$(mktemp -d)
tmux=(tmux -L "tracer-top-$$" -f /dev/null)
trap 'stop_pipeline; "${tmux[@]}" kill-server 2>/dev/null || true; rm -rf "$work"' EXIT
export LC_ALL=C.UTF-8 PS1='$ ' TERM=xterm-256color

screen() { "${tmux[@]}" capture-pane -p -t top; }

# shows TEXT...: waits until the screen shows a line for each pattern; fails with the screen if it does not within a minute.
shows() {
  local pattern
  for pattern; do
    for ((try = 0; try < 600; try++)); do
      screen | grep -qE -- "$pattern" && continue 2
      sleep 0.1
    done
    echo "the screen never showed \"$pattern\":" && screen
    return 1
  done
}

# has TEXT: the screen has it by now.
has() { screen | grep -q -- "$1" || { echo "there is no \"$1\" in:" && screen && return 1; }; }

# hides TEXT: the same for what is to go away.
hides() {
  for ((try = 0; try < 600; try++)); do
    screen | grep -qE -- "$1" || return 0
    sleep 0.1
  done
  echo "the screen still shows \"$1\":" && screen
  return 1
}

keys() { "${tmux[@]}" send-keys -t top "$@"; }

# runs COMMAND: types a command into the shell; its exit code is shown as "left CODE".
runs() { keys "clear; $1; echo \"left \$?\"" Enter; }

# is_free: the terminal echoes, and shows what was there before.
is_free() {
  shows 'left [0-9]+' && keys "stty -a | tr ' ' '\\n' | grep -cx -e echo -e icanon -e opost" Enter && shows '^3$'
}

# p50 FILE STAGE: the median that analyze tells, ns.
p50() {
  "$tracer" analyze --format json "$1" 2>/dev/null |
    python3 -c 'import json, sys; print(next(s["latency_ns"]["p50"] for s in json.load(sys.stdin)["stages"] if s["name"] == sys.argv[1]))' "$2"
}

# shown NS: the same as the screen writes it.
shown() {
  python3 -c '
import sys
ns = int(sys.argv[1])
unit, size = next(((u, s) for u, s in (("s", 10**9), ("ms", 10**6), ("us", 10**3)) if ns >= s), ("ns", 1))
digits = 3 if ns // size < 10 else 2 if ns // size < 100 else 1
print(f"{ns // size}.{ns % size * 10**digits // size:0{digits}d} {unit}" if size > 1 else f"{ns} ns")' "$1"
}

# Not BASH_ENV, not the user's files: a shell as every other.
"${tmux[@]}" new-session -d -s top -x 100 -y 30 -c "$work" 'bash --norc --noprofile'
start_pipeline "$(dirname "$tracer")"

# What runs: stages with figures, then paused, sorted, filtered, in a small window, and a snapshot.
runs "$tracer top -o kept.trace"
shows 'events/s' '^stage .*10s p50.*all p50' '^awe .* [0-9.]+ [mun]?s' '^awe -> writing .* [0-9.]+ [mun]?s' '^writing -> global end' 'slowest in 10 s: [0-9]+'
keys Space
shows '^PAUSED'
before=$(screen)
sleep 2
[[ $(screen) == "$before" ]] || { echo "it moved while it was paused"; exit 1; }
keys Space
hides '^PAUSED'
keys s
shows 'sort:p99'
keys / writ Enter
hides '^awe  '
shows '^writing ' '/ writ'
keys Escape
shows '^awe  '
"${tmux[@]}" resize-window -t top -x 40 -y 10
shows '^stage .*10s p50 +10s p99' '^awe  .* [0-9.]+ [mun]?s' 'q end'
mapfile -t lines < <(screen)
[[ ${#lines[@]} == 10 ]]
for line in "${lines[@]}"; do ((${#line} <= 40)); done
"${tmux[@]}" resize-window -t top -x 100 -y 30
shows 'all p50'
keys w
shows 'written to snapshot.1.trace'
# Stopped and gone on with, with the terminal free in between.
keys C-z
shows 'Stopped'
keys 'clear; fg; echo "left $?"' Enter
shows '^stage .*10s p50'
keys q
is_free
# What starts while it is stopped may be missed, which it says.
has 'left [03]'
has 'kept.trace: [0-9]* events, 0 lost'
has 'snapshot.1.trace'
"$tracer" verify "$work/kept.trace" || [[ $? == 3 ]]
"$tracer" analyze "$work/snapshot.1.trace" >/dev/null || [[ $? == 3 ]]

# Nothing is left of one whose terminal goes away.
runs "$tracer top"
shows '^awe  '
shell=$("${tmux[@]}" list-panes -t top -F '#{pane_pid}')
pid=$(pgrep -P "$shell" -x tracer)
"${tmux[@]}" respawn-pane -k -t top -c "$work" 'bash --norc --noprofile'
for ((try = 0; try < 600; try++)); do
  [[ -e /proc/$pid ]] || break
  sleep 0.1
done
[[ ! -e /proc/$pid ]] || { echo "it goes on without its terminal" && exit 1; }

# At the end of a recording: its figures are those of the file.
runs "$tracer record --top --duration 3s -o end.trace"
shows 'ended'
for stage in awe writing global; do
  expected=$(shown "$(p50 "$work/end.trace" "$stage")")
  shows "^$stage .* $expected"
done
keys q
is_free
has 'left [03]'

# Signals, and a command with output of its own.
runs "$tracer top"
shows '^awe  '
pkill -TERM -P "$("${tmux[@]}" list-panes -t top -F '#{pane_pid}')" -x tracer
is_free
runs "$tracer top"
shows '^awe  '
pkill -QUIT -P "$("${tmux[@]}" list-panes -t top -F '#{pane_pid}')" -x tracer
is_free
has 'left 131'
runs "$tracer top"
shows '^awe  '
pkill -ABRT -P "$("${tmux[@]}" list-panes -t top -F '#{pane_pid}')" -x tracer
is_free
has 'left 134'
runs "$tracer top -- sh -c 'echo hello from the command; exit 7'"
shows 'ended'
hides 'hello from'
keys q
is_free
has 'hello from the command'
has 'left 7'

# A trace, played; and one line where there is no terminal.
runs "NO_COLOR=1 LC_ALL=C $tracer top --speed 10 kept.trace"
shows 'ended' '^awe  .* [0-9.]+ [mun]?s'
screen | grep -q '█' && exit 1
keys C-c
is_free
"$tracer" top "$work/kept.trace" 2>"$work/error" >/dev/null && exit 1
[[ $(wc -l <"$work/error") == 1 ]] && grep -q -- '--batch' "$work/error"

# Five hundred stages; and a terminal that only prints lines.
for at in 1 2 3 4; do
  for n in {1..500}; do
    for side in beg end; do
      [[ $side == beg ]] && time=$((at * 1000000 + n * 100)) || time=$((at * 1000000 + n * 100 + 50))
      echo "[$time] [PID: 7] app app:${side}_stage$n | Seq: $at"
    done
  done
done | "$tracer" import - -o "$work/wide.trace" 2>/dev/null
runs "$tracer top --speed 1000 wide.trace"
shows 'ended' '^stage1 ' '^ENDED'
keys NPage NPage NPage
hides '^stage1 '
shows '^stage1[5-9] '
keys / stage499 Enter
shows '^stage499 '
keys q
is_free
runs "TERM=dumb $tracer top wide.trace"
shows 'left 2'
has 'can only print lines'
[[ $("$tracer" top --batch -n 2 --interval 200ms | grep -c '^stage ') == 2 ]]
