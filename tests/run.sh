#!/usr/bin/env bash
# The end-to-end tests: a real Envoy, our binary, recorded providers, the official client libraries.
#
#   tests/run.sh [PYTEST ARGUMENTS]
#
# MESETA_ENVOY and MESETA_BIN say which Envoy and which binary (default: the pinned one, target/debug/meseta).
# What the tests need is installed into .cache/; nothing is installed twice.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=$root/.cache
mkdir -p "$cache"
export MESETA_ENVOY=${MESETA_ENVOY:-$("$root/scripts/setup-envoy.sh")}
export MESETA_BIN=${MESETA_BIN:-${CARGO_TARGET_DIR:-$root/target}/debug/meseta}
[[ -x $MESETA_BIN ]] || {
    echo "no binary at $MESETA_BIN: run cargo xtask wasm && cargo build --package meseta" >&2
    exit 1
}

# stamped NAME INPUTS...: whether what was made from these inputs is still there.
stamp_of() { cat "$@" | sha256sum | cut -d' ' -f1; }

venv=$cache/venv-e2e
stamp=$(stamp_of "$root/tests/e2e/requirements.txt")
if [[ $(cat "$venv/.stamp" 2>/dev/null) != "$stamp" ]]; then
    echo "installing the Python clients"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$root/tests/e2e/requirements.txt"
    echo "$stamp" >"$venv/.stamp"
fi

node=$cache/node-e2e
stamp=$(stamp_of "$root"/tests/e2e/node/package*.json)
if [[ $(cat "$node/.stamp" 2>/dev/null) != "$stamp" ]]; then
    echo "installing the Node clients"
    rm -rf "$node"
    mkdir -p "$node"
    cp "$root"/tests/e2e/node/package*.json "$node/"
    npm ci --prefix "$node" --silent --ignore-scripts --no-audit --no-fund
    echo "$stamp" >"$node/.stamp"
fi
# Scripts import the libraries from beside them.
cp "$root"/tests/e2e/node/*.mjs "$node/"
export MESETA_NODE_E2E=$node

cd "$root/tests/e2e"
exec "$venv/bin/python" -B -m pytest "$@"
