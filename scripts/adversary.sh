#!/usr/bin/env bash
# What another user (uid 65534) may try against a recorder that is root. For each case a table row says how many of their 1000 events
# two honest programs beside it have in the trace, how long the one that started last took until it had fired, how long Ctrl-C took, the
# exit code, and what was said of the case.
# usage: scripts/adversary.sh [--bin FOLDER] [--patience SECONDS] [CASE]...   default: all; quick: those of the gate
#   --patience  how long Ctrl-C may take: 1 s, more where the machine does other work
#   CASE        fifo device search many room fuse overlay slow maps rewrite churn twin output squat flood names
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/scripts/install.sh"
bin=$root/target/release
quick='fifo device search many fuse overlay slow maps rewrite twin output squat names'
all="$quick room churn flood named hidden borrowed traced sealed dumping storm renaming users gone mounts roots sparse victim frozen setuid binfmt page"

patience=1
while [[ ${1:-} == --* ]]; do
  case $1 in
    --bin) bin=$2; shift 2 ;;
    --patience) patience=$2; shift 2 ;;
    *) sed -n '2,9p' "$0"; exit 2 ;;
  esac
done
[[ $(id -u) == 0 ]] || exec sudo --preserve-env "${BASH_SOURCE[0]}" --bin "$bin" --patience "$patience" "$@"
bin=$(realpath "$bin")
cases=$*
[[ $cases != quick ]] || cases=$quick
cases=${cases:-$all}

# Seconds until a case is given up.
limit=90
work=$(mktemp -d)
chmod 755 "$work"
started=() recorder='' failed=0

clean() {
  # Not all may be there any more.
  [[ -z $recorder ]] || kill -KILL "$recorder" 2>/dev/null || true
  local pid
  for pid in "${started[@]}"; do
    # With what it has started itself, if it leads a group.
    kill -KILL -- "-$pid" 2>/dev/null || kill -KILL "$pid" 2>/dev/null || true
  done
  wait 2>/dev/null || true
  started=() recorder=''
}
trap 'clean; rm -rf "$work"' EXIT

# stranger COMMAND...: runs a command as another user, in its own folder.
other=(setpriv --reuid=65534 --regid=65534 --clear-groups) as=("${other[@]}")
stranger() { (cd "$place" && exec "${as[@]}" "$@"); }

# begin COMMAND...: starts a program of the stranger that says "running", and waits for that. LATER: not waited for.
begin() {
  local said=$work/said.${#started[@]}
  : >"$said"
  # The process of this shell becomes it, the leader of a group, so that all of it can be ended.
  (cd "$place" && exec setsid "${as[@]}" "$@") >"$said" 2>&1 &
  started+=($!)
  [[ -n ${LATER:-} ]] || await grep -q running "$said"
}

# await COMMAND...: waits until it succeeds.
await() {
  local until=$((SECONDS + limit))
  until "$@"; do
    ((SECONDS < until)) || { echo "$name: given up: $*" >&2; return 1; }
    sleep 0.05
  done
}

compile() { cc -O1 -o "$work/$1" "${@:3}" "$root/scripts/adversary/$2"; }

# ---- Cases: NAME_before prepares, NAME_during happens while it is recorded.

fifo_during() { stranger mkfifo pipe; LATER=1 begin env LD_PRELOAD="$place/pipe" "$work/waiting"; }
device_during() { LATER=1 begin env LD_PRELOAD=/dev/zero LD_AUDIT=/dev/tty "$work/waiting"; }
search_during() {
  local names folders
  names=$(seq -f 'l%.0f' -s: 15000)
  folders=$(for n in $(seq 500); do printf '%s%s:' "$place" "$(printf '/.%.0s' $(seq $((n % 80 + 1))))"; done)
  LATER=1 begin env LD_PRELOAD="${names:0:120000}" LD_LIBRARY_PATH="${folders:0:120000}" "$work/waiting"
}
many_before() {
  compile crowd crowd.c -DCOUNT=4000
  local n
  for n in $(seq 17); do stranger cp "$work/crowd" "crowd$n"; begin "./crowd$n"; done
}
room_before() {
  compile crowd crowd.c -DCOUNT=65000
  local n
  for n in $(seq 5); do stranger cp "$work/crowd" "crowd$n"; begin "./crowd$n"; done
}
served() {
  mknod -m 666 "$place/fuse" c 10 229
  stranger mkdir mnt
  begin "${@:2}" "$work/silent" "$place/fuse" "$place/mnt" "$work/waiting" "$1"
  # The server is the one that this shell started: what ran before it has become it.
  kill -USR1 "${started[-1]}"
}
fuse_before() {
  # As with user_allow_other: root mounts, and the file is for all.
  as=(env)
  served exe unshare -m
  as=("${other[@]}")
}
overlay_before() { served overlay unshare -Urm; }
# A file system for all that answers, but slowly, as often as it is asked.
slow_before() {
  as=(env)
  mknod -m 666 "$place/fuse" c 10 229
  stranger mkdir mnt
  # shellcheck disable=SC2016
  begin unshare -m sh -c 'SLOW_MS=100 "$0/silent" "$1/fuse" "$1/mnt" "$0/waiting" exe & until [ -e go ]; do sleep 0.05; done
    kill -USR1 $!; shift; exec "$@" env LD_PRELOAD="$(seq -f l%.0f -s: 1000)" LD_LIBRARY_PATH="$PWD/mnt:$PWD/mnt/x" "$0/waiting"' \
    "$work" "$place" "${other[@]}"
  as=("${other[@]}")
}
slow_during() { stranger touch go; }
maps_before() { compile mapper maps.c; stranger cp "$work/honest" mine; begin "$work/mapper" mine many; }
rewrite_before() { compile mapper maps.c; stranger cp "$work/honest" mine; begin "$work/mapper" mine rewrite; }
churn_during() {
  # shellcheck disable=SC2016
  stranger timeout "$limit" sh -c 'for n in $(seq 1000); do cp "$0" c; ./c </dev/null >/dev/null; rm c; done' "$work/honest" ||
    echo "churn: fewer than 1000 copies in $limit s: the machine does other work" >&2
}
twin_before() {
  mkdir "$work/below"
  cp "$work/honest" "$work/below/honest"
  early=$work/below/honest
  # shellcheck disable=SC2016
  local script='mkdir -p up work over; mount -t overlay overlay -o "lowerdir=$0,upperdir=up,workdir=work" over &&
    { over/honest </dev/zero & sleep 3600 | over/honest & while ! [ -e go ]; do sleep 0.05; done
      touch over/honest; cp over/honest n; printf x >>n; cat n >over/new; mv over/new over/honest; sleep 3600 | over/honest; }'
  begin unshare -Urm sh -c "$script" "$work/below"
}
twin_during() { stranger touch go; sleep 1; }
output_before() { :; }
names_before() {
  stranger cp "$work/waiting" "$(printf 'a\033[2J\nb')"
  begin "./$(printf 'a\033[2J\nb')"
}
flood_before() {
  compile crowd crowd.c -DCOUNT=1 -DFLOOD
  local n
  for n in $(seq 4); do begin "$work/crowd"; done
}

source "$root/scripts/adversary/states.sh"

# said NAME: what is to be said of a case, as a pattern; empty if nothing is missing.
said() {
  case $1 in
    fuse | overlay) echo 'a file of app that did not answer in 2 s' ;;
    search) echo 'too many places to look for its libraries' ;;
    slow) echo 'answered slowly while libraries were looked for' ;;
    page) echo 'fired, and not recorded: it waits for memory' ;;
    room) echo 'the files of its owner .uid 65534. may have' ;;
  esac
}

# honest NUMBER PATH: starts an honest program. Sets pids, to and from of that number.
honest() {
  local number=$1 input output
  mkfifo "$place.in.$number" "$place.out.$number"
  "$2" <"$place.in.$number" >"$place.out.$number" 2>/dev/null &
  pids[number]=$!
  started+=("${pids[number]}")
  exec {input}>"$place.in.$number" {output}<"$place.out.$number"
  to[number]=$input from[number]=$output
  read -r -t "$limit" -u "${from[number]}" _
}

# fire NUMBER COUNT: has an honest program fire, once it is traced, and waits for that.
fire() { echo "$2" >&"${to[$1]}" && read -r -t "$limit" -u "${from[$1]}" _; }

# count NUMBER: the events of an honest program in what was recorded.
count() {
  local file
  for file in "$place"/run*.trace; do
    [[ ! -O $file || -L $file || -p $file ]] || "$bin/tracer" replay "$file" 2>/dev/null
  done | grep -c "PID: *${pids[$1]}].*target:hit" || true
}

# now: sets the variable of that name to microseconds, without another process, which a case might keep from running.
now() { printf -v "$1" %s "${EPOCHREALTIME//[!0-9]/}"; }

# one NAME: a case, and its row. One honest program runs before, and another one, that is to be attached to, starts while it is recorded.
one() {
  name=$1 place=$work/$1 early=$work/honest
  mkdir "$place"
  chmod 777 "$place"
  ! declare -F "${name}_before" >/dev/null || "${name}_before"
  local status=0 begun late took fd counts problem='' options=() pids=() to=() from=()
  honest 0 "$early"
  [[ $name != squat ]] || squat
  : >"$work/ready"
  "$bin/tracer" record -f -e 'target:*' -o "$place/run.trace" --ready-fd 3 "${options[@]}" 3>"$work/ready" >/dev/null 2>"$work/errors" &
  recorder=$!
  await test -s "$work/ready"
  fire 0 500
  ! declare -F "${name}_during" >/dev/null || "${name}_during"
  [[ -z $(said "$name") || $name == page ]] || await grep -q "$(said "$name")" "$work/errors"
  now begun
  cp "$work/honest" "$work/late.$name"
  honest 1 "$work/late.$name"
  fire 1 1000
  now late
  late=$(((late - begun) / 1000))
  fire 0 500
  now begun
  kill -INT "$recorder"
  wait "$recorder" || status=$?
  recorder=''
  now took
  took=$(((took - begun) / 1000))
  counts=("$(count 0)" "$(count 1)")
  for fd in "${to[@]}" "${from[@]}"; do exec {fd}>&-; done
  clean
  ! declare -F "${name}_after" >/dev/null || "${name}_after"
  judge
}

# judge: prints the row of a case.
judge() {
  local expected='[03]' lost
  [[ -z $(said "$name") ]] || expected=3
  # Some is only known at the end.
  grep -q "$(said "$name")" "$work/errors" || problem+=" nothing says: $(said "$name");"
  lost=$(sed -n 's/.* events, \([0-9]*\) lost.*/\1/p' "$work/errors" | head -n1)
  # What a flood takes from others is counted, and those that lose events are named.
  [[ ${lost:-0} == 0 ]] || grep -q 'events in .* (process [0-9]*): lost' "$work/errors" || problem+=" nothing says what lost events;"
  [[ ${counts[*]} == '1000 1000' || $name == flood && ${lost:-0} -gt 0 && $status == 3 ]] ||
    problem+=" honest programs: ${counts[0]} and ${counts[1]} of 1000;"
  ((took <= patience * 1000)) || problem+=" Ctrl-C took $took ms;"
  [[ $status =~ ^$expected$ ]] || problem+=" exit code $status;"
  ! grep -q $'\e' "$work/errors" || problem+=" escape sequences in messages;"
  row "${counts[0]}, ${counts[1]}" "$late ms" "$took ms" "$status" "$(grep -E -m1 -o 'not recorded: .*' "$work/errors" | cut -c1-90 || true)"
}

row() {
  printf '%-10s %-12s %9s %8s  %4s  %s\n' "$name" "$1" "$2" "$3" "$4" "$5"
  [[ -z ${problem:-} ]] || { echo "  FAILED:$problem"; sed 's/^/    /' "$work/errors"; failed=$((failed + 1)); }
}

# squat: the stranger takes the names that rotation would use.
squat() {
  chmod 1777 "$place"
  stranger sh -c 'mkfifo run.1.trace; ln -s run.new run.2.trace; echo mine >run.3.trace'
  options=(--rotate 300ms)
}

# output: the stranger puts a pipe and a link where the trace is to go; neither is written to.
output() {
  name=output place=$work/output
  local status problem='' way
  mkdir "$place"
  chmod 1777 "$place"
  stranger sh -c 'mkfifo pipe; ln -s new link'
  for way in pipe link; do
    status=0
    timeout "$limit" "$bin/tracer" record -f --wait -e 'target:*' --duration 1s -o "$place/$way" 2>"$work/errors" >/dev/null || status=$?
    [[ $status == 1 && ! -e $place/new ]] || problem+=" $way: exit code $status;"
  done
  row - - - "$status" "$(cut -c1-90 "$work/errors" | head -n1)"
}

command -v setpriv >/dev/null
compile honest honest.c
compile waiting waiting.c
compile silent silent.c
chmod 755 "$work"/*
printf '%-10s %-12s %9s %8s  %4s  %s\n' case 'of 1000' 'late one' Ctrl-C exit said
for name in $cases; do
  if [[ $name == output ]]; then output; else one "$name"; fi
done
echo "note: $(wc -w <<<"$cases") cases, $failed failed"
[[ $failed == 0 ]]
