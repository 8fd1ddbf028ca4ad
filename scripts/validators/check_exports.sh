#!/usr/bin/env bash
# Checks the exports of traces with the programs they are made for: Perfetto's Trace Processor, Catapult, DuckDB, pyarrow,
# babeltrace2, and pages of tracer report with Chromium.
# Each must load them without a warning and count exactly what tracer counts; DuckDB finds in the tables what analyze says.
# usage: scripts/validators/check_exports.sh TRACER TRACE...
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../install.sh"
source "$here/../pipeline.sh"
TRACER_VALIDATORS=$("$here/setup.sh")
export TRACER_VALIDATORS
python=$TRACER_VALIDATORS/python/bin/python
"$python" "$here/check_analysis.py" "$@"
"$python" "$here/check_exports.py" "$@"

# lossy COMMAND...: exit code 3 (done, but some events were lost) is a result, not a failure.
lossy() { "$@" 2>/dev/null || [[ $? == 3 ]]; }

tracer=$1
shift
work=$(mktemp -d)
trap 'stop_pipeline || true; rm -rf "$work"' EXIT
# page NAME TRACE...: the page of the last trace, beside those before it, as a browser sees it.
page() {
  local name=$1 trace=${*: -1}
  shift
  lossy "$tracer" report "$@" -o "$work/$name.html"
  lossy "$tracer" analyze "$trace" --worst 10 --format json >"$work/$name.json"
  node "$here/report.mjs" "$work/$name.html" "$work/$name.json"
}

for trace; do
  page "$(basename "$trace" .trace)" "$trace"
done

# named NAME: a log with stages of such a name.
named() {
  local seq
  for seq in $(seq 40); do
    printf '[%d] [PID: 7] %s p:beg_%s | Seq: %d\n' $((seq * 1000000)) "$1" "$1" "$seq" $((seq * 1000000 + 50000 + seq * 100)) "$1" "$1" "$seq" |
      sed '2s/beg_/end_/'
  done
}

# Names with markup, and of thousands of letters or marks, stay text, and make no page wider than its window or its paper.
{
  named '</script><img/src=x/onerror=alert(1)>"&amp;'
  named "$(printf 'N%.0s' $(seq 4000))"
  named "$(printf 'e\xcc\x81\xcc\x82%.0s' $(seq 100))"
} >"$work/named.log"
"$tracer" import "$work/named.log" -o "$work/named.trace"
page named "$work/named.trace"

# lose SECONDS FILE: a live recording of the pipeline at full speed, whose recorder stands still for so long while its small rings
# run over.
lose() {
  local pid recorder
  start_pipeline "$(dirname "$tracer")" --rate 0 --awe 20us --writing 5us
  as_root "$tracer" record --ring-size 4K -o "$2" 2>"$work/live.err" &
  recorder=$!
  until pid=$(sed -n 's/^tracer: recording, PID \([0-9]*\),.*/\1/p' "$work/live.err") && [[ $pid ]]; do
    kill -0 "$recorder" 2>/dev/null || { cat "$work/live.err" >&2; return 1; }
    sleep 0.05
  done
  # Some that is whole, then a hole, then some that is whole.
  sleep 0.3
  as_root kill -STOP "$pid" && sleep "$1" && as_root kill -CONT "$pid"
  sleep 0.3
  as_root kill -INT "$pid"
  lossy wait "$recorder"
  stop_pipeline
}

for seconds in 0.2 1 5; do
  lose "$seconds" "$work/live.trace"
  lost=$(lossy "$tracer" info --format json "$work/live.trace" | "$python" -c 'import json, sys; print(json.load(sys.stdin)["loss"]["lost"])')
  [[ $lost == 0 ]] || break
  rm -f "$work/live.trace"
done
[[ $lost != 0 ]] || { echo "a recorder that stood still for $seconds s lost nothing" >&2; exit 1; }
page live "$work/live.trace"
echo "note: page of a live run that lost $lost events;"

# Names with markup, quotes, letters from right to left.
for key in {1..60}; do
  for side in beg end; do
    [[ $side == beg ]] && at=$((key * 1000)) || at=$((key * 1000 + 300 + key))
    echo "[$at] [PID: 7] </script><img/src=x> a\"'&א:${side}_<i>x</i>\"' | Seq: $key"
  done
done >"$work/hostile.log"
"$tracer" import "$work/hostile.log" -o "$work/hostile.trace" 2>/dev/null
page hostile "$work/hostile.trace"

need babeltrace2 babeltrace2
/usr/bin/python3 -c 'import bt2' 2>/dev/null || install_packages python3-bt2
# Names that end a string, a comment or a line of the metadata, strings that end early, and what was unreadable.
printf '%s\n' '[9] [PID: 7] \x1b[31m\\";}; p\x22\\:a\x1b\u{202e}\\\x22;}/*\n | Seq: 3 | arg1: "a\x1b\"\\\xff\x00b" | arg2: ? | arg3: ""' >"$work/ctf.log"
"$tracer" import "$work/ctf.log" -o "$work/ctf.trace" 2>/dev/null
"$here/check_ctf.py" "$tracer" "$@" "$here"/../../sample-traces/data/v*.trace "$work/ctf.trace"
page compared "$1" "$work/hostile.trace" "$1"

# The queries of docs/perfetto.md run, and find something in the sample of the pipeline.
mapfile -d ';' -t queries < <(awk '/^```sql/ { sql = 1; next } /^```/ { sql = 0 } sql' "$here/../../docs/perfetto.md" | tr '\n' ' ')
unset 'queries[-1]'
lossy "$tracer" export "$here/../../sample-traces/data/pipeline.trace" -o "$work/queries.pftrace"
found=$(node "$here/trace_processor.mjs" "$work/queries.pftrace" "${queries[@]}" | grep -vc '"rows":\[\]' || true)
[[ $found == "${#queries[@]}" ]] || { echo "docs/perfetto.md: only $found of ${#queries[@]} queries find something" >&2; exit 1; }

# In the UI itself, the overview is first, and what it holds is in the order of the path.
first='["overview: look here first","verdict","slowest buffers, and why","in flight: global","in flight: awe","in flight: writing","queue: global begin -> awe","queue: awe -> writing","queue: writing -> global end"]'
shown=$(node "$here/perfetto_ui.mjs" "$work/queries.pftrace" "$work/ui.png" | "$python" -c '
import json, sys
tracks = json.load(sys.stdin)["order"]
at = tracks.index("overview: look here first")
assert all(name in ("System", "Clock Snapshots") for name in tracks[:at]), tracks
print(json.dumps(tracks[at : at + 9], separators=(",", ":")))')
[[ $shown == "$first" ]] || { echo "in the Perfetto UI: $shown" >&2; exit 1; }
