# shellcheck shell=bash disable=SC2034,SC2154
# Cases of adversary.sh: processes in odd states, files of odd forms, and what takes part in the machine's own work.

# trick KIND: the stranger runs tricks.c on a copy of the honest program.
trick() {
  [[ -x $work/tricks ]] || compile tricks tricks.c
  stranger cp "$work/honest" mine
  begin "$work/tricks" "$1" "$place/mine"
}
named_before() { trick named; }
named_during() { trick named; }
hidden_before() { trick hidden; }
borrowed_before() { trick borrowed; }
borrowed_during() { trick borrowed; }
traced_during() { trick traced; }
sealed_during() { trick sealed; }
dumping_before() { trick dumping; }
storm_before() { trick storm; }
renaming_before() {
  chmod 1777 "$place"
  stranger cp "$work/honest" mine.other
  trick renaming
}

# Storms of sixty users.
users_before() {
  local uid
  for uid in $(seq 60001 60060); do
    as=(setpriv "--reuid=$uid" "--regid=$uid" --clear-groups)
    # shellcheck disable=SC2016
    begin sh -c 'echo running; while :; do "$0" </dev/null >/dev/null; done' "$work/honest"
  done
  as=("${other[@]}")
}

# Processes that map a file which does not answer, and have ended when that shows: whose they were, nothing tells then.
gone_before() {
  [[ -x $work/tricks ]] || compile tricks tricks.c
  as=(env)
  mknod -m 666 "$place/fuse" c 10 229
  stranger mkdir mnt
  begin unshare -m "$work/silent" "$place/fuse" "$place/mnt" "$work/waiting" exe
  server=${started[-1]}
  begin nsenter -t "$server" -m "${other[@]}" "$work/tricks" ended "$place/mnt/app"
  as=("${other[@]}")
}
gone_during() { kill -USR1 "$server"; sleep 5; }

# Thirty thousand file systems in a namespace of its own, and always another one.
mounts_before() {
  compile mounter mounter.c
  # shellcheck disable=SC2016
  begin unshare -Urm sh -c 'mount -t tmpfs tmpfs "$1"; cd "$1"; mkdir m; "$0/mounter" 30000 m; echo running
    while :; do mount -t tmpfs tmpfs m; cp "$0/honest" m/; m/honest </dev/null >/dev/null; done' "$work" "$place"
}

# A root folder of its own, whose links lead into those of others.
roots_during() {
  compile static waiting.c -static
  # shellcheck disable=SC2016
  LATER=1 begin unshare -Urmpf --mount-proc sh -c 'mkdir new; mount -t tmpfs tmpfs new; cd new; mkdir old lib
    cp "$0/static" app; ln -s /proc/1/root lib64; ln -s ../../../../../etc etc; ln -s app loop; ln -sf loop2 loop3; ln -sf loop3 loop2
    pivot_root . old; umount -l /old; cd /; LD_PRELOAD=/loop2:/lib64/app:/../../app LD_LIBRARY_PATH=/loop2:/etc:/lib64 exec /app' "$work"
}

# Programs with eight exabytes, and with what only a reader of all of them would see.
sparse_during() {
  # shellcheck disable=SC2016
  LATER=1 begin unshare -Urm sh -c 'mkdir all; mount -t tmpfs tmpfs all; cd all; cp "$0/waiting" big; truncate -s 9223372036854775807 big
    python3 "$1" big; echo running; ./big & for f in big.*; do ./$f & done; wait' "$work" "$root/scripts/adversary/odd_elf.py"
}

# Programs that map the honest one as often as they may.
victim_before() {
  [[ -x $work/mapper ]] || compile mapper maps.c
  local n
  for n in 1 2 3 4; do begin "$work/mapper" "$work/honest" hold; done
}

# A control group of its own, with all that is in it frozen.
frozen_before() {
  mkdir "$work/groups"
  mount -t cgroup2 none "$work/groups"
  group=$work/groups/$(printf 'tracer-\033[2J')$$
  mkdir "$group"
  local n
  for n in $(seq 50); do
    stranger cp "$work/waiting" "app$n"
    begin "./app$n"
    echo "${started[-1]}" >"$group/cgroup.procs"
  done
  echo 1 >"$group/cgroup.freeze"
}
frozen_after() {
  await rmdir "$group" 2>/dev/null
  umount "$work/groups"
}

# A program with the rights of another user, and all that leads its loader astray.
setuid_during() {
  cp "$work/waiting" "$work/su"
  chmod 4755 "$work/su"
  stranger mkfifo pipe
  local n
  for n in 1 2 3 4 5 6; do LATER=1 begin env LD_PRELOAD="$place/pipe" LD_LIBRARY_PATH="$place:$place/pipe" LD_AUDIT="$place/pipe" "$work/su"; done
}

# An interpreter for its own files, in a user namespace of its own.
binfmt_during() {
  # shellcheck disable=SC2016
  LATER=1 begin unshare -Urm sh -c 'mount -t binfmt_misc none /proc/sys/fs/binfmt_misc || exit
    cp "$0/waiting" interpreter; cp "$0/honest" app; printf "\177NOT" >app.odd; cat "$0/honest" >>app.odd; chmod +x app.odd
    echo ":odd:M::\\x7fNOT::$PWD/interpreter:OFC" >/proc/sys/fs/binfmt_misc/register; ./app.odd' "$work"
}

# A thread that waits in its probe for memory which a file system does not give; then nothing can be detached.
paged() {
  compile pager page.c
  as=(env)
  mknod -m 666 "$place/fuse" c 10 229
  stranger mkdir mnt
  # Longer than what is read ahead.
  cp "$work/waiting" "$work/long"
  truncate -s 8M "$work/long"
  begin unshare -m "$work/silent" "$place/fuse" "$place/mnt" "$work/long" exe
  server=${started[-1]}
  begin nsenter -t "$server" -m "--wd=$place" "${other[@]}" "$work/pager" "$1" "$place/mnt/app" "$2"
  as=("${other[@]}")
}
page_before() { paged probe /dev/zero; }
page_during() {
  kill -USR1 "$server"
  sleep 0.2
  touch "$place/go"
  sleep 1
}
