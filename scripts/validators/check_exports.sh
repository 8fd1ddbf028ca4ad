#!/usr/bin/env bash
# Checks the exports of traces with the programs they are made for: Perfetto's Trace Processor, Catapult, DuckDB, pyarrow.
# Each must load them without a warning and count exactly what tracer counts; DuckDB finds in the tables what analyze says.
# usage: scripts/validators/check_exports.sh TRACER TRACE...
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TRACER_VALIDATORS=$("$here/setup.sh")
export TRACER_VALIDATORS
python=$TRACER_VALIDATORS/python/bin/python
"$python" "$here/check_analysis.py" "$@"
exec "$python" "$here/check_exports.py" "$@"
