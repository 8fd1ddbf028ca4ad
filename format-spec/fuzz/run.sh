#!/bin/sh
# Fuzzes the trace file's reader and its round trip: run.sh [SECONDS for each target]. Needs a C++ compiler, no nightly Rust:
# the coverage passes are asked for by hand, as `cargo fuzz` would. A crash is written to the corpus folder.
set -eu
cd "$(dirname "$0")"
seconds=${1:-60}
target=${CARGO_TARGET_DIR:-../../target}/fuzz
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
host=$(rustc -vV | sed -n 's/^host: //p')
CARGO_TARGET_DIR=$target cargo build --release --target "$host"
for name in read round-trip; do
    corpus=$target/corpus/$name
    mkdir -p "$corpus"
    if [ "$name" = read ]; then
        cp ../../sample-traces/data/*.trace "$corpus" 2>/dev/null || true
    fi
    "$target/$host/release/$name" -max_total_time="$seconds" -rss_limit_mb=512 -timeout=10 -max_len=8192 \
        -artifact_prefix="$corpus/" -print_final_stats=1 "$corpus"
done
