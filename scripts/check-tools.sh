#!/usr/bin/env bash
# Checks every tool that building, testing and the demo need, and names all that is missing at once,
# each with the way to get it. Installs nothing; works as root or not.
#
#   scripts/check-tools.sh           what a build and the demo need
#   scripts/check-tools.sh --lint    also what the lints of `make test` need
set -uo pipefail

rust_wanted=1.88
node_wanted=20
lint=false
for argument in "$@"; do
    case $argument in
    --lint) lint=true ;;
    *)
        echo "usage: scripts/check-tools.sh [--lint]" >&2
        exit 2
        ;;
    esac
done

missing=()
packages=()

# want WHAT HINT [DEBIAN PACKAGE...]: notes one thing that is missing.
want() {
    local what=$1 hint=$2
    shift 2
    missing+=("$what${hint:+: $hint}")
    packages+=("$@")
}

# at_least HAVE WANTED: whether one dotted version is the other or newer.
at_least() {
    [[ $(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n1) == "$2" ]]
}

version_in() {
    grep -oE '[0-9]+\.[0-9]+(\.[0-9]+)?' <<<"$1" | head -n1
}

has() {
    command -v "$1" >/dev/null 2>&1
}

# Rust. A toolchain that rustup only knows by name answers with an error, not with a version.
rust_hint="install Rust by rustup (rustup.rs), or run: rustup update stable"
for tool in cargo rustc; do
    have=$(version_in "$($tool --version 2>/dev/null)")
    if [[ -z $have ]]; then
        want "$tool ≥ $rust_wanted" "$rust_hint"
    elif ! at_least "$have" "$rust_wanted"; then
        want "$tool ≥ $rust_wanted (found $have)" "$rust_hint"
    fi
done
if $lint; then
    cargo fmt --version >/dev/null 2>&1 || want "cargo fmt" "rustup component add rustfmt"
    cargo clippy --version >/dev/null 2>&1 || want "cargo clippy" "rustup component add clippy"
fi

# The filter's toolchain: an installed target, else Debian's. `cargo xtask wasm` decides for itself
# and would name the same things, but only after minutes of building.
installed_target() {
    local folder
    folder=$(RUSTUP_AUTO_INSTALL=0 rustc --print target-libdir --target wasm32-wasip1 2>/dev/null) &&
        compgen -G "$folder/libstd-*" >/dev/null
}
choice=${MESETA_WASM_TOOLCHAIN:-auto}
if [[ $choice == debian ]] || ! installed_target; then
    if [[ $choice == installed ]]; then
        want "the target wasm32-wasip1" "rustup target add wasm32-wasip1"
    else
        lacking=()
        sysroot=$(/usr/bin/rustc --print sysroot 2>/dev/null) || lacking+=(rustc-web)
        [[ -x /usr/bin/cargo ]] || lacking+=(cargo-web)
        [[ -f ${sysroot:-/usr}/lib/rustlib/src/rust/library/std/Cargo.toml ]] || lacking+=(rust-web-src)
        [[ -f /usr/lib/wasm32-wasi/libc.a ]] || lacking+=(wasi-libc)
        has wasm-ld || lacking+=(lld)
        if ((${#lacking[@]})); then
            hint="rustup target add wasm32-wasip1, or the Debian packages below"
            [[ $choice == debian ]] && hint="the Debian packages below"
            want "a toolchain for wasm32-wasip1, for the filter" "$hint" "${lacking[@]}"
        fi
    fi
fi

# The C compiler is tried, not only found: zstd is C, and every link goes through it.
if ! { has cc && echo '#include <stdlib.h>
int main(void) { return EXIT_SUCCESS; }' | cc -x c -o /dev/null - 2>/dev/null; }; then
    want "a C compiler with its headers" "" gcc libc6-dev
fi
if $lint && ! echo '#include <atomic>' | c++ -x c++ -c -o /dev/null - 2>/dev/null; then
    echo "note: without a C++ compiler \`make test\` leaves out fuzzing (Debian: apt-get install g++)"
fi
if $lint && ! has valgrind; then
    echo "note: without valgrind \`make test\` counts no instructions (Debian: apt-get install valgrind)"
fi
has make || want "make" "" make

have=$(version_in "$(node --version 2>/dev/null)")
if [[ -z $have ]]; then
    want "node ≥ $node_wanted" "from nodejs.org; Debian 12's own is 18"
elif ! at_least "$have" "$node_wanted"; then
    want "node ≥ $node_wanted (found $have)" "from nodejs.org; Debian 12's own is 18"
fi
npm --version >/dev/null 2>&1 || want "npm" "comes with node"

if ! has python3; then
    want "python3 with venv" "" python3 python3-venv
elif ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
    want "venv for $(python3 --version)" "" python3-venv
fi
has sha256sum || want "sha256sum" "" coreutils

if ((${#missing[@]})); then
    echo "missing on this machine:" >&2
    printf '  - %s\n' "${missing[@]}" >&2
    if ((${#packages[@]})); then
        sudo=""
        [[ $(id -u) == 0 ]] || sudo="sudo "
        echo "Debian has these: ${sudo}apt-get install ${packages[*]}" >&2
    fi
    exit 1
fi
echo "tools: $(rustc --version | cut -d' ' -f1,2), node $(node --version), $(python3 --version)"
