#!/usr/bin/env bash
# The steps of the container image. The Dockerfile runs them, and `make image-test` runs the same
# in a Debian root, so that they are tested where there is no container engine. They run as root,
# in a Debian 12 that is theirs.
#
#   scripts/image.sh build SOURCE OUT    builds the filter and the binary with it; needs cargo ≥ 1.88
#   scripts/image.sh assemble OUT        makes this root the one that the server runs in
set -euo pipefail

# Both are fixed, so that a volume's owner can be set without looking into the image.
user=meseta
id=65532

install_packages() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get update --quiet
    apt-get install --quiet --yes --no-install-recommends "$@"
}

build() {
    local source=$1 out=$2
    # gcc: zstd is C, and it links. The rest is the filter's toolchain.
    install_packages ca-certificates gcc libc6-dev \
        cargo-web lld rust-web-src rustc-web wasi-libc
    cd "$source"
    MESETA_WASM_TOOLCHAIN=debian cargo xtask wasm
    cargo build --locked --release --package meseta
    install -D --mode=0755 "${CARGO_TARGET_DIR:-target}/release/meseta" "$out/meseta"
    # Function names stay, for the backtrace of a crash.
    strip --strip-debug "$out/meseta"
}

assemble() {
    local out=$1
    # The certificates of those whom the server itself calls, such as a collector of traces.
    install_packages ca-certificates
    groupadd --gid "$id" "$user"
    useradd --key UID_MAX="$id" --uid "$id" --gid "$id" --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin "$user"
    install --mode=0755 "$out/meseta" /usr/local/bin/meseta
    # The configuration is mounted; the socket is shared with Envoy through a volume.
    install --directory --mode=0755 /etc/meseta
    install --directory --mode=0750 --owner="$user" --group="$user" /run/meseta
    rm -rf /var/lib/apt/lists/*
}

case "${1:-} $#" in
"build 3") build "$2" "$3" ;;
"assemble 2") assemble "$2" ;;
*)
    sed -n '2,/^set/{/^#/p}' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac
