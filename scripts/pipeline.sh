# shellcheck shell=bash
# Running the demo pipeline beside something else; to be sourced.

# start_pipeline FOLDER OPTIONS...: starts the pipeline whose programs are in FOLDER; returns when all of them run.
start_pipeline() {
  pipeline_log=$(mktemp)
  "$1/pipeline" "${@:2}" 2>"$pipeline_log" &
  pipeline=$!
  # The sink is the last one; tracer finds a program by its probes, so it must have taken the place of its fork.
  until pipeline_children | grep -qx sink; do
    kill -0 "$pipeline" 2>/dev/null || { cat "$pipeline_log" >&2; return 1; }
    sleep 0.05
  done
}

# pipeline_children: the names of the pipeline's programs.
pipeline_children() {
  local children child
  read -ra children <"/proc/$pipeline/task/$pipeline/children" || true
  for child in "${children[@]}"; do
    cat "/proc/$child/comm" || true
  done 2>/dev/null
}

# stop_pipeline: ends it; what it has to say goes to standard error if it failed.
stop_pipeline() {
  local status=0
  [[ ${pipeline:-} ]] || return 0
  kill "$pipeline" 2>/dev/null || true
  wait "$pipeline" || status=$?
  [[ $status == 0 ]] || cat "$pipeline_log" >&2
  rm -f "$pipeline_log"
  pipeline=
  return "$status"
}
