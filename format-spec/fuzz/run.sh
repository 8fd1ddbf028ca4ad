#!/bin/sh
# Fuzzes all that reads what others wrote: run.sh [SECONDS for each target [TARGET...]]. Needs a C++ compiler, no nightly
# Rust: the coverage passes are asked for by hand, as `cargo fuzz` would. What was found is kept in the corpus folder, and
# is where the next run begins; a crash is written there too. Ends with a line for each target: fuzz NAME EXECUTIONS.
set -eu
cd "$(dirname "$0")"
seconds=${1:-60}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- read round-trip block column elf argument log stage
target=${CARGO_TARGET_DIR:-../../target}/fuzz
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
host=$(rustc -vV | sed -n 's/^host: //p')
CARGO_TARGET_DIR=$target cargo build --quiet --release --locked --target "$host"
"$target/$host/release/seeds" "$target/corpus" ../../sample-traces/data/*.trace
summary=$(mktemp)
failed=
trap 'rm -f "$summary"' EXIT
for name; do
    corpus=$target/corpus/$name
    mkdir -p "$corpus"
    status=0
    "$target/$host/release/$name" -max_total_time="$seconds" -rss_limit_mb=512 -timeout=10 -max_len=8192 \
        -artifact_prefix="$corpus/" -print_final_stats=1 "$corpus" >"$summary.$name" 2>&1 || status=$?
    if [ "$status" != 0 ]; then
        tail -n 60 "$summary.$name" >&2
        failed="$failed $name"
    fi
    echo "fuzz $name $(sed -n 's/^stat::number_of_executed_units: *//p' "$summary.$name")" >>"$summary"
    rm -f "$summary.$name"
done
cat "$summary"
[ -z "$failed" ] || { echo "run.sh: found a fault: $failed; what it takes is in $target/corpus" >&2; exit 1; }
