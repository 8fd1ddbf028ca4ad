#!/usr/bin/env bash
# Fills the generated blocks of README.md with what commands say on this machine.
# usage: scripts/readme.sh TRACER             the session: records the demo pipeline beside TRACER, as root
#        scripts/readme.sh --costs OUTPUT     the costs, from the output of scripts/bench.sh
#        scripts/readme.sh --check TRACER     changes nothing; tracer takes the commands of the session
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/pipeline.sh
mode="session"
case ${1:-} in
  --check | --costs) mode=${1#--} && shift ;;
esac
[[ $# == 1 && -f $1 ]] || { sed -n 's/^# \(usage\|      \)/\1/p' "${BASH_SOURCE[0]}" >&2; exit 2; }
tracer=$(realpath "$1")

# commands: those of the session, without what is behind a pipe.
commands() { sed -n '/^<!-- begin session/,/^<!-- end session/{/^\$ /{s/^\$ //;s/ |.*//;p}}' README.md; }

# fill BLOCK FILE: puts the file between the marks of the block.
fill() {
  sed -i -e "/^<!-- begin $1 -->/,/^<!-- end $1 -->/{/^<!-- begin/{p;r $2
};/^<!-- end/p;d}" README.md
}

# costs: the table of costs, from the output of scripts/bench.sh on standard input.
costs() {
  awk '
    /^== bytes/ { shape = /pipeline/ ? "pipeline" : "loop" }
    /^== cost.*one thread/ { match($0, /[0-9]+ hits/); hits = substr($0, RSTART) + 0 }
    /^one / { floor = $6 }
    /^tracer record / { hit = $3; kept = $4 }
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
      printf "| events kept, one thread at full speed | %d of %d | |\n", kept, hits
      printf "| an event in the file, pipeline | %s B | the log %s B, with zstd %s B |\n", bytes["pipeline"], plain["pipeline"], packed["pipeline"]
      printf "| an event in the file, tight loop | %s B | `perf record` %s B |\n", bytes["loop"], perf_bytes
      printf "| replay, to a pipe | %s M events/s | `perf script` %s M events/s |\n", rate["tracerreplay,pipe"], rate["perfscript"]
      printf "| analyze | %s M events/s | |\n", rate["traceranalyze"]
      printf "| export to .pftrace, .json, .parquet | %s, %s, %s M events/s | |\n", rate["tracerexport.pftrace"], rate["tracerexport.json"], rate["tracerexport.parquet"]
    }'
}

if [[ $mode == check ]]; then
  count=0
  while read -ra words; do
    [[ ${words[0]} == sudo ]] && words=("${words[@]:1}")
    # All options stand before --help, so they are looked at before it.
    [[ ${words[0]} == tracer ]] && "$tracer" "${words[@]:1}" --help >/dev/null
    count=$((count + 1))
  done < <(commands)
  echo "note: $count commands"
  exit $((count == 0))
fi

work=$(mktemp -d /tmp/demo.XXXXXX)
trap 'stop_pipeline; rm -rf "$work"' EXIT
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
    sed '/cannot be looked into/d;s/[[:space:]]*$//'
}

session() {
  echo '```console'
  show 'sudo tracer record --duration 5s'
  echo
  show 'tracer replay run.trace | sed -n 10,14p'
  echo
  show 'tracer analyze run.trace'
  echo
  show 'tracer export run.trace -o run.json'
  show 'tracer info run.trace | grep -E "^(events|bytes|cost)"'
  echo '```'
}

start_pipeline "$work"
session >"$work/session"
stop_pipeline
fill session "$work/session"
