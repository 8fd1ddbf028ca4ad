#!/usr/bin/env bash
# Checks the exports of traces with the programs they are made for: Perfetto's Trace Processor, Catapult, DuckDB, pyarrow, and
# pages of tracer report with Chromium.
# Each must load them without a warning and count exactly what tracer counts; DuckDB finds in the tables what analyze says.
# usage: scripts/validators/check_exports.sh TRACER TRACE...
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
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
trap 'rm -rf "$work"' EXIT
for trace; do
  name=$(basename "$trace" .trace)
  lossy "$tracer" report "$trace" -o "$work/$name.html"
  lossy "$tracer" analyze "$trace" --worst 10 --format json >"$work/$name.json"
  node "$here/report.mjs" "$work/$name.html" "$work/$name.json"
done
