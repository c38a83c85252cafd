#!/usr/bin/env bash
# Finds cargo-deny on the PATH, else installs the pinned version into .cache/tools, and prints the
# path of the program. Progress goes to stderr. Quick when it has been done before.
set -euo pipefail

version=0.20.2
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tools=$root/.cache/tools

if found=$(command -v cargo-deny); then
    echo "$found"
    exit
fi
mkdir -p "$tools"
exec 9>"$tools/.lock"
flock 9
if [[ $("$tools/bin/cargo-deny" --version 2>/dev/null) != "cargo-deny $version" ]]; then
    echo "installing cargo-deny $version into $tools (about a minute on two cores)" >&2
    # Unoptimised and without debug information: it runs for a second and builds for minutes.
    # No default features: nothing here reads advisories.
    CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR=$tools/target cargo install cargo-deny \
        --version "=$version" --locked --debug --no-default-features --force --root "$tools" >&2
    rm -rf "$tools/target"
fi
echo "$tools/bin/cargo-deny"
