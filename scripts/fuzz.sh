#!/usr/bin/env bash
# Builds the fuzz targets (fuzz/) with libFuzzer and runs them, as many at a time as there are cores.
# All that is built and found is kept in .cache/fuzz. Stable Rust is enough; libFuzzer itself is C++.
#
#   scripts/fuzz.sh [SECONDS [TARGET...]]      each target, or those named, for so long
#                                              (else FUZZ_SECONDS, else ten minutes)
#   scripts/fuzz.sh --reproduce TARGET FILE    one input, with a backtrace
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
cache=.cache/fuzz
# The coverage that libFuzzer steers by: counters for edges, and the operands of comparisons.
flags=(
    --cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module
    -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares
)

usage() {
    sed -n '/^#   scripts/,/^set /{/^set /d; s/^#//; p}' "${BASH_SOURCE[0]}" >&2
    exit 2
}

# Says that nothing is fuzzed. In continuous integration that is a failure.
leave_out() {
    echo "skipped: fuzzing, because $1" >&2
    [[ ${CI:-} == true ]] && exit 1
    exit 0
}

check_toolchain() {
    local cxx=${CXX:-c++} try=$cache/try
    mkdir -p "$try"
    if ! printf '#include <atomic>\nstd::atomic<int> i;\n' |
        $cxx -std=c++17 -x c++ -c -o "$try/cxx.o" - 2>"$try/log"; then
        leave_out "there is no C++ compiler with its headers (Debian: apt-get install g++)"
    fi
    if ! echo 'pub fn f(a: u8) -> u8 { if a > 7 { 1 } else { 2 } }' |
        rustc --crate-type lib --emit obj "${flags[@]}" -o "$try/rust.o" - 2>"$try/log"; then
        leave_out "$(rustc --version) cannot instrument code: see $try/log"
    fi
}

build() {
    local locked=() host
    [[ ${CI:-} == true ]] && locked=(--locked)
    host=$(rustc -vV | sed -n 's/^host: //p')
    # With a named target the flags are for it alone, not for build scripts and macros.
    RUSTFLAGS="${flags[*]}" cargo build "${locked[@]}" --manifest-path fuzz/Cargo.toml \
        --release --bins --target "$host" --target-dir "$cache/target"
    programs=$cache/target/$host/release
}

dictionary_of() {
    case $1 in
    config_load) echo fuzz/dictionaries/yaml.dict ;;
    sse) echo fuzz/dictionaries/events.dict ;;
    transcoder) echo "$cache/answers.dict" ;;
    endpoint | dotenv) echo fuzz/dictionaries/lines.dict ;;
    *) echo fuzz/dictionaries/json.dict ;;
    esac
}

# The longest input, in bytes: as in fuzz/seeds.py.
longest_of() {
    case $1 in
    config_load) echo 16384 ;;
    *) echo 4096 ;;
    esac
}

# fuzz TARGET: runs it to its log, and says in a few lines what came of it.
fuzz() {
    local target=$1 log=$cache/$1.log status=0 program
    mkdir -p "$cache/corpus/$target" "$cache/crashes"
    RUST_BACKTRACE=0 "$programs/$target" -max_total_time="$seconds" -max_len="$(longest_of "$target")" -timeout=25 -rss_limit_mb=2048 \
        -dict="$(dictionary_of "$target")" -print_final_stats=1 -verbosity=1 \
        -artifact_prefix="$cache/crashes/$target-" "$cache/corpus/$target" >"$log" 2>&1 &
    program=$!
    trap 'kill "$program" 2>/dev/null' TERM
    wait "$program" || status=$?
    # Stopped, not failed.
    ((status != 143)) || return "$status"
    if ((status == 0)); then
        awk -v target="$target" '
            { for (i = 1; i < NF; i++) if ($i == "cov:") cov = $(i + 1); else if ($i == "corp:") corpus = $(i + 1) }
            /^stat::number_of_executed_units/ { runs = $2 }
            END { printf "%-13s %9d runs, coverage %d, corpus %s\n", target, runs, cov, corpus }' "$log"
        return
    fi
    local input
    input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n1)
    {
        echo "$target FAILED (exit status $status); the log is $log:"
        sed -n "/panicked at/,/^==/p; /ERROR: libFuzzer/p" "$log" | cut -c1-800 | head -n 20 | sed 's/^/    /'
        if [[ -n $input ]]; then
            echo "    the input is kept; run it alone: scripts/fuzz.sh --reproduce $target $input"
        else
            echo "    no input was kept, as when the stack is exhausted"
        fi
    } >&2
    return "$status"
}

reproduce() {
    [[ $# == 2 && -f $2 ]] || usage
    build
    RUST_BACKTRACE=1 exec "$programs/$1" -timeout=25 -rss_limit_mb=2048 "$2"
}

mapfile -t targets < <(sed -n 's/^path = "fuzz_targets\/\(.*\)\.rs"$/\1/p' fuzz/Cargo.toml)
if [[ ${1:-} == --reproduce ]]; then
    shift
    check_toolchain
    reproduce "$@"
fi
seconds=${1:-${FUZZ_SECONDS:-600}}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || usage
if (($# > 1)); then
    for target in "${@:2}"; do
        [[ " ${targets[*]} " == *" $target "* ]] || { echo "no such target: $target; there are: ${targets[*]}" >&2 && exit 2; }
    done
    targets=("${@:2}")
fi

check_toolchain
build
python3 fuzz/seeds.py "$cache/corpus"
cat fuzz/dictionaries/events.dict fuzz/dictionaries/json.dict >"$cache/answers.dict"

running=0
failed=0
trap 'kill $(jobs -p) 2>/dev/null; exit 130' INT TERM
for target in "${targets[@]}"; do
    if ((running >= $(nproc))); then
        wait -n || failed=1
        running=$((running - 1))
    fi
    fuzz "$target" &
    running=$((running + 1))
done
while ((running)); do
    wait -n || failed=1
    running=$((running - 1))
done
exit "$failed"
