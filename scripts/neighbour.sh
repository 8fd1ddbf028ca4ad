#!/usr/bin/env bash
# Shows what `record -p` costs others of the same program: two PostgreSQL clusters run one binary, both serve pgbench, and the sessions of
# the first are recorded with -p or not, in turn. Prints the second one's transactions a second with and without, and their noise.
# The neighbour has CPU 1 for itself; the recorded cluster and the recorder share the others. What is left is what the probes of one
# cost the other: without it, the recorder's own CPU time, and that of a million hits a second, would be measured again.
# usage: scripts/neighbour.sh [TRACER]      default: the release build, which is brought up to date
#   ROUNDS=5 SECONDS_EACH=4
#   POSTGRESQL=FOLDER    with initdb, postgres and pgbench; default: the newest in /usr/lib/postgresql
# Exit codes: 0 the medians differ by less than the untraced rounds do; 1 by more, or something failed.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/scripts/install.sh"
rounds=${ROUNDS:-5} seconds=${SECONDS_EACH:-4}

[[ $(id -u) == 0 ]] || exec sudo --preserve-env "${BASH_SOURCE[0]}" "$@"
tracer=${1:-}
if [[ -z $tracer ]]; then
  need_rust
  cargo build --quiet --release --locked --manifest-path "$root/Cargo.toml"
  tracer=${CARGO_TARGET_DIR:-$root/target}/release/tracer
fi
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || [[ -n ${POSTGRESQL:-} ]] || install_packages postgresql
programs=${POSTGRESQL:-$(dirname "$(compgen -G '/usr/lib/postgresql/*/bin/initdb' | sort -V | tail -n 1)")}
tracer=$(realpath "$tracer")
work=$(mktemp -d)
chmod 755 "$work"
recorder='' load=''

clean() {
  [[ -z $recorder ]] || kill -INT "$recorder" 2>/dev/null || true
  [[ -z $load ]] || kill "$load" 2>/dev/null || true
  for cluster in traced neighbour; do
    as_nobody "$programs/pg_ctl" -D "$work/$cluster/data" -m immediate stop >/dev/null 2>&1 || true
  done
  rm -rf "$work"
}
trap clean EXIT
cd "$work"

[[ $(nproc) -gt 1 ]] || { echo "a machine with two CPUs is needed: on one, the clusters take the CPU from each other" >&2; exit 1; }
others=0,2-$(($(nproc --all) - 1))
[[ $(nproc --all) -gt 2 ]] || others=0
traced=(taskset --cpu-list "$others") neighbour=(taskset --cpu-list 1)

# PostgreSQL refuses to run as root.
as_nobody() { (cd "$work" && runuser -u nobody -- "$@"); }

# start CLUSTER PREFIX...: a server that is reached through a socket in a folder of its own.
start() {
  local folder=$work/$1
  mkdir "$folder"
  chown nobody "$folder"
  as_nobody "$programs/initdb" -A trust -D "$folder/data" >/dev/null
  "${@:2}" runuser -u nobody -- "$programs/pg_ctl" -D "$folder/data" -o "-c listen_addresses= -k $folder" -l "$folder/log" -w start >/dev/null
  as_nobody "$programs/pgbench" -h "$folder" -i -q postgres >/dev/null 2>&1
}

# rate: what the neighbour serves in a round.
rate() {
  "${neighbour[@]}" runuser -u nobody -- "$programs/pgbench" -h "$work/neighbour" -n -S -c 1 -T "$seconds" postgres 2>/dev/null |
    sed -n 's/^tps = \([0-9.]*\).*/\1/p'
}

# figures RATE...: median, lowest, highest.
figures() {
  printf '%s\n' "$@" | sort -n | awk '{ v[NR] = $1 } END { printf "%.0f %.0f %.0f", v[int((NR + 1) / 2)], v[1], v[NR] }'
}

start traced "${traced[@]}"
start neighbour "${neighbour[@]}"
"${traced[@]}" runuser -u nobody -- "$programs/pgbench" -h "$work/traced" -n -S -c 4 -T 100000 postgres >/dev/null 2>&1 &
load=$!
postmaster=$(head -n 1 "$work/traced/data/postmaster.pid")
sessions() { pgrep -P "$postmaster" -f '^postgres: .* postgres .*local' || true; }
until [[ $(sessions | wc -l) -ge 4 ]]; do sleep 0.1; done
mapfile -t pids < <(sessions | sed 's/^/-p/')

without=() with=() events=0
for ((round = 0; round < rounds; round++)); do
  without+=("$(rate)")
  "${traced[@]}" "$tracer" record -f -o "$work/run.trace" -e 'postgresql:*' "${pids[@]}" 2>"$work/said" &
  recorder=$!
  until grep -q '^tracer: recording' "$work/said"; do
    kill -0 "$recorder" || { cat "$work/said" >&2; exit 1; }
    sleep 0.1
  done
  with+=("$(rate)")
  kill -INT "$recorder"
  wait "$recorder" || { cat "$work/said" >&2; exit 1; }
  recorder=''
  events=$((events + $(sed -n 's/^tracer: .*: \([0-9]*\) events, .*/\1/p' "$work/said")))
done

read -r before low high < <(figures "${without[@]}"; echo)
read -r after least most < <(figures "${with[@]}"; echo)
echo "the neighbour's transactions a second, median (lowest to highest) of $rounds rounds of $seconds s:"
echo "  untraced  $before ($low to $high)"
echo "  traced    $after ($least to $most), while $events events of the other cluster were recorded"
awk -v before="$before" -v after="$after" -v noise="$((high - low))" 'BEGIN {
  lost = before - after
  printf "  it lost %.1f %%; the untraced rounds differ by %.1f %%\n", 100 * lost / before, 100 * noise / before
  exit lost > noise
}'
