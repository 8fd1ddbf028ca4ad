#!/usr/bin/env bash
# Fills the generated blocks of README.md with what commands say on this machine.
# usage: scripts/readme.sh TRACER             the session: records the demo pipeline beside TRACER, as root
#        scripts/readme.sh --costs OUTPUT     the costs, from the output of scripts/bench.sh
#        scripts/readme.sh --check TRACER     changes nothing; records the session and compares what does not vary from run to run, as root
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/pipeline.sh
mode="session"
case ${1:-} in
  --check | --costs) mode=${1#--} && shift ;;
esac
[[ $# == 1 && -f $1 ]] || { sed -n 's/^# \(usage\|      \)/\1/p' "${BASH_SOURCE[0]}" >&2; exit 2; }
tracer=$(realpath "$1")

# fill BLOCK FILE: puts the file between the marks of the block.
fill() {
  sed -i -e "/^<!-- begin $1 -->/,/^<!-- end $1 -->/{/^<!-- begin/{p;r $2
};/^<!-- end/p;d}" README.md
}

# costs: the table of costs, from the output of scripts/bench.sh on standard input.
costs() {
  awk '
    /^== bytes/ { shape = /pipeline/ ? "pipeline" : "loop" }
    /^one / { floor = $6 }
    /^tracer record / { hit = $3 }
    /^perf record / { perf = $3; perf_bytes = $NF }
    /^run.trace / { bytes[shape] = $NF }
    /^documented log  / { plain[shape] = $NF }
    /^documented log, / { packed[shape] = $NF }
    / M events\/s/ {
      for (i = 1; $i != "M";) i++
      rate[$1 $2 ($2 == "export" ? $3 : $2 == "replay," ? $5 : "")] = $(i - 1)
    }
    END {
      print "| | `tracer` | in the same run |"
      print "|---|---|---|"
      printf "| a hit, CPU time of the traced program | %.0f ns, %s times an empty eBPF program | `perf record` %.0f ns |\n", hit, floor, perf
      printf "| an event in the file, pipeline | %s B | the log %s B, with zstd %s B |\n", bytes["pipeline"], plain["pipeline"], packed["pipeline"]
      printf "| an event in the file, tight loop | %s B | `perf record` %s B |\n", bytes["loop"], perf_bytes
      printf "| replay, to a pipe | %s M events/s | `perf script` %s M events/s |\n", rate["tracerreplay,pipe"], rate["perfscript"]
      printf "| analyze | %s M events/s | |\n", rate["traceranalyze"]
      printf "| export to .pftrace, .json, .parquet, to a pipe | %s, %s, %s M events/s | |\n", rate["tracerexportperfetto"], rate["tracerexportchrome"], rate["tracerexportparquet"]
    }'
}

work=$(mktemp -d /tmp/demo.XXXXXX)
# Where it ends with an error, what was said until then tells why.
trap '[[ $? == 0 ]] || cat "$work/session" >&2; stop_pipeline; rm -rf "$work"' EXIT
: >"$work/session"
if [[ $mode == costs ]]; then
  costs <"$1" >"$work/costs"
  fill costs "$work/costs"
  exit
fi
for program in tracer pipeline source processor sink; do
  cp "$(dirname "$tracer")/$program" "$work/"
done

# show COMMAND: the command as typed in the folder of the programs, and all that it says, on a host named demo.
show() {
  echo "\$ $1"
  # shellcheck disable=SC2016
  # A process that not even root may look into is a matter of the container that this runs in.
  (cd "$work" && unshare --uts bash -c 'hostname demo; sudo() { "$@"; }; PATH=.:$PATH; eval "$0"' "$1" 2>&1) |
    sed '/cannot be looked into/d;s/[[:space:]]*$//' ||
    # Another program on this machine may not have been recorded.
    [[ $? == 3 ]]
}

session() {
  echo '```console'
  show 'sudo tracer record --duration 5s'
  echo
  show 'tracer replay run.trace | sed -n 10,12p'
  echo
  show 'tracer analyze run.trace'
  echo '```'
}

# frame: what every run has in common: commands, the lines of record without figures, the rows of the path of a
# buffer. What analyze finds, and how long things take, is another matter in each run.
frame() {
  sed -nE '/^\$ /{p;b}
    s/[[:space:]]+/ /g
    /^path of a buffer /{p;b}
    / (wait|work|total) /{s/ (wait|work|total) .*/ \1/p;b}
    s/[0-9]+(\.[0-9]+)?( (ns|us|ms|s)\b)?/N/g
    /^\[ N\] \[PID: N\] .* \| Seq: N$/{s/.*/one line for each event/p;b}
    /^(\[ N\] Found|Trace started|tracer: (recording|run)|N events of)/p'
}

start_pipeline "$work"
session >"$work/session"
stop_pipeline
if [[ $mode == check ]]; then
  sed '/^<!-- begin session -->/,/^<!-- end session -->/!d;//d' README.md | frame | sort -u >"$work/shown"
  frame <"$work/session" | sort -u >"$work/said"
  echo "note: $(wc -l <"$work/shown") lines of a session"
  if [[ ! -s $work/shown ]] || comm -23 "$work/shown" "$work/said" | grep .; then
    echo "tracer does not say this (any more), README.md does; scripts/readme.sh TRACER records the session again:"
    exit 1
  fi >&2
  exit
fi
fill session "$work/session"
