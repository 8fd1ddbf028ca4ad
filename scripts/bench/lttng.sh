# shellcheck shell=bash disable=SC2154
# Recording the same kind of events with LTTng; to be sourced, as install.sh. Needs $work, a folder.

# lttng_tools: installs what it needs; fails where there is nothing to install from.
lttng_tools() {
  need lttng lttng-tools && need babeltrace2 babeltrace2 && need cc build-essential
  cc -E -include lttng/tracepoint.h -x c /dev/null >/dev/null 2>&1 || install_packages liblttng-ust-dev
}

# lttng_program: builds a program that fires tracer_bench:hit(seq) as often as it is told; prints its path.
lttng_program() {
  cat >"$work/lttng.h" <<'C'
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER tracer_bench
#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "lttng.h"
#if !defined(BENCH_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define BENCH_H
#include <lttng/tracepoint.h>
LTTNG_UST_TRACEPOINT_EVENT(tracer_bench, hit, LTTNG_UST_TP_ARGS(unsigned long, seq),
  LTTNG_UST_TP_FIELDS(lttng_ust_field_integer(unsigned long, seq, seq)))
#endif
#include <lttng/tracepoint-event.h>
C
  cat >"$work/lttng.c" <<'C'
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "lttng.h"
#include <stdlib.h>
int main(int argc, char **argv) {
  unsigned long count = argc > 1 ? strtoul(argv[1], 0, 10) : 0;
  for (unsigned long seq = 0; seq < count; seq++) lttng_ust_tracepoint(tracer_bench, hit, seq);
}
C
  cc -O2 -I"$work" -o "$work/lttng" "$work/lttng.c" -llttng-ust -ldl
  echo "$work/lttng"
}

# lttng_record FOLDER EVENTS CONTEXT...: records so many events; the program waits for room rather than lose one.
lttng_record() {
  local folder=$1 events=$2 session=tracer-bench-$$ program
  shift 2
  program=$(lttng_program)
  rm -rf "$folder"
  {
    lttng create "$session" --output="$folder"
    lttng enable-channel --userspace --blocking-timeout=inf --subbuf-size=4M --num-subbuf=8 all
    lttng enable-event --userspace --channel=all 'tracer_bench:*'
    [[ $# == 0 ]] || lttng add-context --userspace --channel=all "${@/#/--type=}"
    lttng start
    LTTNG_UST_ALLOW_BLOCKING=1 "$program" "$events"
    lttng destroy "$session"
  } >"$work/lttng.err" 2>&1 || { cat "$work/lttng.err" >&2; return 1; }
}
