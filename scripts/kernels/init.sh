#!/bin/busybox sh
# shellcheck shell=dash
# The first process of a trial machine (scripts/kernels.sh): tries what the recorder needs of a kernel, prints a line
# "trial NAME RESULT" for each, where RESULT is ok, - (the kernel does not have it) or FAILED, and turns the machine off.
/bin/busybox --install -s /bin
export PATH=/bin LC_ALL=C
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
cd /tmp || exit 1

# trial NAME COMMAND...: runs a trial in a shell of its own, which ends at the first command that fails.
trial() {
  name=$1
  shift
  (set -e; "$@") >"$name.out" 2>&1
  case $? in
    0) echo "trial $name ok" ;;
    77) echo "trial $name -" ;;
    *)
      echo "trial $name FAILED"
      tail -n 40 "$name.out" | sed "s/^/  $name: /"
      ;;
  esac
}

# How often the probes of programs fired that wrote this file, and what a recorder that wrote it says of its trace.
fired() { awk '$1 == "fired" { sum += $3 } END { print sum + 0 }' "$1"; }
events() { sed -n 's/^tracer: .*: \([0-9]*\) events, [0-9]* lost.*/\1/p' "$1"; }
lost() { sed -n 's/^tracer: .*: [0-9]* events, \([0-9]*\) lost.*/\1/p' "$1"; }
# The events that are in a trace.
recorded() { tracer replay "$1" | grep -c 'PID:'; }

# same WHAT EXPECTED FOUND
same() {
  [ "$2" = "$3" ] && return 0
  echo "$1: expected $2, found $3"
  return 1
}

# until_says FILE TEXT: waits until a program in the background has written it.
until_says() {
  for _ in $(seq 600); do
    grep -q "$2" "$1" 2>/dev/null && return 0
    usleep 100000
  done
  echo "still not in $1: $2"
  return 1
}

# The ways to attach that this kernel has.
modes() { if tracer doctor | grep -q '^[a-z]* *uprobe_multi .*6[.]6'; then echo perf; else echo multi perf; fi; }

doctor() { tracer doctor; }

# attaching MODE: the pipeline, three programs that a command starts; all that they fire is recorded.
attaching() {
  case " $MODES " in
    *" $1 "*) ;;
    *)
      # Said in one line, before anything is recorded.
      status=0
      tracer record -o none.trace --attach "$1" --wait 2>none.err || status=$?
      cat none.err
      same "exit code and lines" "1 1" "$status $(wc -l <none.err)"
      grep 'needs Linux 6.6' none.err
      exit 77
      ;;
  esac
  tracer record -o "$1.trace" --attach "$1" -- pipeline --count 100 --rate 0 --awe 100us --writing 50us 2>"$1.err" ||
    { cat "$1.err"; exit 1; }
  same fired 600 "$(fired "$1.err")"
  same recorded 600 "$(recorded "$1.trace")"
  tracer verify "$1.trace"
}

# A program that nothing ran before is held at exec until its probes are attached: recorded from its first probe on.
hold() {
  tracer record -o hold.trace -e 'target:*' --wait 2>hold.err &
  recorder=$!
  until_says hold.err 'tracer: recording'
  for name in one two three; do
    cp "$(which target)" "./$name"
    "./$name" 10 2>>hold.fired
  done
  kill -INT $recorder
  wait $recorder || { echo "the recorder: exit code $?"; cat hold.err; return 1; }
  cat hold.err
  same fired 30 "$(fired hold.fired)"
  same recorded 30 "$(recorded hold.trace)"
  ! grep 'are not held' hold.err
}

# A semaphore is raised while a recorder is there, in a program that ran before, and down again afterwards.
semaphores() {
  for mode in $MODES; do
    mkfifo "numbers.$mode"
    target <"numbers.$mode" >"target.$mode" &
    exec 8>"numbers.$mode"
    echo 5 >&8
    until_says "target.$mode" '^semaphore 0 fired 0'
    tracer record -o "semaphore.$mode.trace" -e 'target:*' --attach "$mode" 2>"semaphore.$mode.err" &
    recorder=$!
    until_says "semaphore.$mode.err" 'tracer: recording'
    echo 7 >&8
    until_says "target.$mode" '^semaphore 1 fired 7'
    kill -INT $recorder
    wait $recorder || { echo "the recorder: exit code $?"; cat "semaphore.$mode.err"; return 1; }
    echo 3 >&8
    until_says "target.$mode" '^semaphore 0 fired 7' || { cat "target.$mode"; return 1; }
    same recorded 7 "$(recorded "semaphore.$mode.trace")"
    exec 8>&-
  done
}

strings() {
  for mode in $MODES; do
    tracer record -o "strings.$mode.trace" -e 'target:hit(_,str)' --attach "$mode" -- target 200
    same strings 200 "$(tracer replay "strings.$mode.trace" | grep -c '| Seq: \([0-9]*\) | arg1: "number \1"')"
  done
}

# Processes that live for a moment are told apart: their program, their command line and how they ended.
processes() {
  tracer record -o processes.trace -e 'target:*' -a -- sh -c 'target 3; sh -c "target 4; exit 5"; target 6' 2>processes.err
  cat processes.err
  same fired 13 "$(fired processes.err)"
  tracer info processes.trace >processes.info
  cat processes.info
  same programs 3 "$(grep -c ' target  *.* exit 0  *target [346]$' processes.info)"
}

# The first probe of every child of a command is recorded, also where several run at the same time.
children() {
  tracer record -o children.trace -e 'target:*' -- \
    sh -c 'for i in 1 2 3; do (target 50; sh -c "target 20") & done; wait' 2>children.err || { cat children.err; exit 1; }
  cat children.err
  same fired 210 "$(fired children.err)"
  same recorded 210 "$(recorded children.trace)"
  tracer replay children.trace | grep -A 2 Found
  tracer replay children.trace | sed -n 's/.*PID: *\([0-9]*\).*Seq:/\1/p' | awk '$1 != pid { printf "%s:", $1 } { print $2; pid = $1 }' | paste -sd' '
  same first 6 "$(tracer replay children.trace | grep -c 'Seq: 1$\|Seq: 1 ')"
}

# What a small ring has no room for is counted: fired = recorded + lost.
loss() {
  status=0
  tracer record -o loss.trace -e 'hammer:*' --ring-size 4K -- hammer --count 100000 --threads 2 2>loss.err || status=$?
  cat loss.err
  same "fired" 200000 "$(fired loss.err)"
  same "recorded and lost" 200000 $(($(events loss.err) + $(lost loss.err)))
  same "events in the trace" "$(events loss.err)" "$(recorded loss.trace)"
  if [ "$(lost loss.err)" = 0 ]; then same "exit code" 0 $status; else same "exit code" 3 $status; fi
}

# A recorder that is killed leaves a readable trace and harms nothing: the programs go on, semaphores are down.
kill_nine() {
  mkfifo numbers.kill
  target <numbers.kill >target.kill &
  exec 8>numbers.kill
  pipeline --rate 100 2>pipeline.err &
  pipeline=$!
  tracer record -o kill.trace -e 'target:*' -e 'buffer_tracker:*' 2>kill.err &
  recorder=$!
  until_says kill.err 'tracer: recording'
  echo 4 >&8
  until_says target.kill '^semaphore 1 fired 4'
  sleep 1
  kill -KILL $recorder
  wait $recorder || true
  for _ in $(seq 100); do
    echo 1 >&8
    usleep 100000
    tail -n 1 target.kill | grep -q '^semaphore 0' && break
  done
  tail -n 1 target.kill | grep '^semaphore 0'
  kill -0 $pipeline
  kill -INT $pipeline
  wait $pipeline
  grep 'buffers entered' pipeline.err
  exec 8>&-
  status=0
  tracer info kill.trace || status=$?
  same "exit code of info" 3 $status
  same "events of target" 4 "$(tracer replay -e 'target:*' kill.trace | grep -c 'PID:')"
  [ "$(recorded kill.trace)" -gt 4 ]
  status=0
  tracer verify kill.trace || status=$?
  same "exit code of verify" 3 $status
}

echo "kernel $(uname -r)"
if tracer record -o first.trace -- true >first.err 2>&1 || ! grep -q 'Linux 5.15' first.err; then
  MODES=$(modes)
  trial doctor doctor
  trial multi attaching multi
  trial perf attaching perf
  trial hold hold
  trial semaphores semaphores
  trial strings strings
  trial processes processes
  trial children children
  trial loss loss
  trial kill kill_nine
else
  # Too old. It says so, in one line.
  echo "refused $(wc -l <first.err) $(cat first.err)"
fi
poweroff -f
