#!/usr/bin/env bash
# From nothing to a first trace: installs what is missing, builds, records the demo pipeline for about 5 s, and shows it.
# Writes run.trace and run.json into the current folder. Needs Debian 12 (or a Rust toolchain and a C compiler) and root or sudo.
# usage: scripts/demo.sh            TRACER_PROFILE=dev builds faster and runs slower
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/scripts/install.sh"
source "$root/scripts/pipeline.sh"
profile=${TRACER_PROFILE:-release}

say() { printf '\n== %s\n' "$*" >&2; }

# results COMMAND...: runs a command of tracer; that some events were lost (exit code 3, and it says so) does not end the demo.
results() { "$@" || [[ $? == 3 ]]; }

say "building tracer and the demo pipeline ($profile; a few minutes the first time)"
need cc build-essential
need_rust
cargo build --manifest-path "$root/Cargo.toml" --profile "$profile" --package tracer --package sample-traces
bin=${CARGO_TARGET_DIR:-$root/target}/${profile/#dev/debug}

say "starting source | processor | sink, and recording their probes for 5 s"
trap stop_pipeline EXIT
start_pipeline "$bin"
results as_root "$bin/tracer" record --force -o run.trace --duration 5s
stop_pipeline

say "the first lines of the recording (tracer replay run.trace)"
results "$bin/tracer" replay run.trace | head -n 20

say "where the time goes (tracer analyze run.trace)"
results "$bin/tracer" analyze run.trace

results "$bin/tracer" export run.trace --force -o run.json
say "done: run.trace ($(stat -c %s run.trace) bytes) and run.json for a viewer"
cat >&2 <<END
Open the picture:   load run.json in https://ui.perfetto.dev
Look further:       $bin/tracer info run.trace
Record your own:    sudo $bin/tracer record -e 'PROVIDER:*' -o own.trace
END
