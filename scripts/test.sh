#!/usr/bin/env bash
# `make test`: every check of the project, in the order of their cost. Stops at the first that fails.
#
#   scripts/test.sh          everything
#   scripts/test.sh lint     the lints alone (`make lint`)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
results=$root/.cache/test
mkdir -p "$results"

# In CI the lock file is what is tested, so it must not change on the way.
locked=()
[[ ${CI:-} == true ]] && locked=(--locked)

phases=()
began=$SECONDS
current=""

finish() {
    local status=$?
    if [[ -n $current && $status != 0 ]]; then
        printf '\n== failed: %s (exit status %s, after %s s) ==\n' "$current" "$status" "$((SECONDS - phase_began))"
    fi
    return "$status"
}
trap finish EXIT

# phase NAME COMMAND...: runs one phase with a heading and its time. Not in a condition: `set -e`
# has to hold inside.
phase() {
    current=$1
    phase_began=$SECONDS
    shift
    printf '\n== %s ==\n' "$current"
    "$@"
    local took=$((SECONDS - phase_began))
    printf '== %s: passed in %s s ==\n' "$current" "$took"
    phases+=("$(printf '%5s s  %s' "$took" "$current")")
    current=""
}

install_tools() {
    deny=$(scripts/setup-cargo-deny.sh)
    MESETA_ENVOY=${MESETA_ENVOY:-$(scripts/setup-envoy.sh)}
    export MESETA_ENVOY
    echo "cargo-deny: $deny"
    echo "Envoy: $MESETA_ENVOY"
}

build_filter() {
    cargo xtask wasm
    # For tests that hand the filter to Envoy themselves.
    export MESETA_FILTER=$root/target/meter/meseta_meter.wasm
}

unit_tests() {
    # What a passing test prints is shown too: there it says that it was skipped, and why.
    cargo test "${locked[@]}" --workspace -- --show-output 2>&1 | tee "$results/cargo.log"
}

build_binary() {
    cargo build "${locked[@]}" --package meseta
    export MESETA_BIN=${CARGO_TARGET_DIR:-$root/target}/debug/meseta
    "$MESETA_BIN" version
}

counters() {
    cargo xtask counters --check 2>&1 | tee "$results/counters.log"
}

end_to_end() {
    tests/run.sh 2>&1 | tee "$results/end-to-end.log"
}

# What cargo's and pytest's closing lines come to. Cargo counts a test that skipped itself as
# passed, so these are listed by what they said.
count() {
    grep --no-filename '^skipped:' "$results/cargo.log" "$results/counters.log" | sort | uniq -c || true
    cat "$results/cargo.log" "$results/end-to-end.log" | awk '
        /^test result:/ || /^=* *[0-9]+ (passed|failed|skipped|error).* in [0-9.]+s/ {
            for (i = 2; i <= NF; i++) {
                if ($i ~ /^passed/) passed += $(i - 1)
                if ($i ~ /^failed/ || $i ~ /^errors?,?$/) failed += $(i - 1)
                if ($i ~ /^(ignored|skipped)/) skipped += $(i - 1)
            }
        }
        END { printf "tests: %d passed, %d failed, %d skipped\n", passed, failed, skipped }'
}

case ${1:-all} in
lint | all) ;;
*)
    echo "usage: scripts/test.sh [lint]" >&2
    exit 2
    ;;
esac

phase "tools" scripts/check-tools.sh --lint
phase "tools of our own" install_tools
phase "format" cargo fmt --all --check
phase "format, fuzz targets" cargo fmt --manifest-path fuzz/Cargo.toml --check
phase "dependencies" "$deny" --color never check bans licenses sources
phase "filter" build_filter
phase "clippy" cargo clippy "${locked[@]}" --workspace --all-targets -- -D warnings
phase "clippy, filter" cargo xtask wasm --check
if [[ ${1:-all} == all ]]; then
    phase "unit and property tests" unit_tests
    phase "binary" build_binary
    phase "reference" cargo xtask gen --check
    phase "counters" counters
    phase "fuzz" scripts/fuzz.sh 20
    phase "end to end" end_to_end
fi

printf '\nAll phases passed in %s s:\n' "$((SECONDS - began))"
printf '%s\n' "${phases[@]}"
if [[ ${1:-all} == all ]]; then
    count
fi
