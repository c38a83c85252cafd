#!/usr/bin/env bash
# `make image-test`: runs the image's steps without a container engine, in Debian 12 roots made by
# debootstrap below .cache/image, then runs the result as the image's user.
#
# As root. The package sources are this machine's own, or those of the file MESETA_APT_SOURCES; the
# server is built by this machine's Rust, mounted read-only where the image has its own. Mounts are
# made in a mount namespace that ends with the script. The roots are kept for the next run; remove
# .cache/image to start from nothing.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
image=$root/.cache/image
user=65532:65532
path=/usr/local/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

fail() {
    echo "image-test: $*" >&2
    exit 1
}

if [[ ${MESETA_IMAGE_NAMESPACE:-} != "$$" ]]; then
    [[ $(id -u) == 0 ]] || fail "needs root, for debootstrap and chroot"
    for tool in debootstrap unshare chroot; do
        command -v "$tool" >/dev/null || fail "$tool is missing: apt-get install debootstrap util-linux coreutils"
    done
    # The pid stays the same over both execs, so this is true in there and nowhere else.
    MESETA_IMAGE_NAMESPACE=$$ exec unshare --mount --propagation private "${BASH_SOURCE[0]}"
fi

step() {
    printf '\n== %s ==\n' "$*"
}

# inside ROOT COMMAND...: as root in a root, with nothing of this machine's environment.
inside() {
    local where=$1
    shift
    chroot "$where" /usr/bin/env -i HOME=/root PATH="$path" CARGO_HOME=/usr/local/cargo \
        CARGO_TERM_COLOR=never LANG=C.UTF-8 "${certificates[@]}" "$@"
}

# As the image's user in the run root, with nothing of this machine's environment. Words to put before
# a command, not a function: in the background, a function's pid is not the command's.
as_user=(
    chroot --userspec="$user" --groups= "$image/run"
    /usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin TEST_KEY=not-a-real-key
)

apt_sources() {
    if [[ -n ${MESETA_APT_SOURCES:-} ]]; then
        cat "$MESETA_APT_SOURCES"
        return
    fi
    # shellcheck disable=SC2016 # apt fills these in
    apt-get indextargets --format '$(CODENAME) deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
        'Created-By: Packages' 'Origin: Debian' | sed -n 's/^bookworm[a-z-]* //p' | sort -u
}

make_base() {
    local sources mirror
    [[ -f $image/base/.complete ]] && return
    sources=$(apt_sources)
    mirror=$(awk '$1 == "deb" && $3 == "bookworm" { print $2; exit }' <<<"$sources")
    [[ -n $mirror ]] || fail "this machine's apt knows no Debian bookworm: run apt-get update, or name a sources.list in MESETA_APT_SOURCES"
    rm -rf "$image/base"
    mkdir -p "$image/base"
    debootstrap --variant=minbase bookworm "$image/base" "$mirror"
    echo "$sources" >"$image/base/etc/apt/sources.list"
    touch "$image/base/.complete"
}

# The checkout as it is, without what git ignores, like the image's build context.
copy_source() {
    local source=$image/build/source
    mkdir -p "$source"
    find "$source" -mindepth 1 -maxdepth 1 ! -name target -exec rm -rf {} +
    git ls-files -z --cached --others --exclude-standard |
        while IFS= read -r -d '' file; do
            if [[ -e $file ]]; then printf '%s\0' "$file"; fi
        done | tar --create --null --files-from=- | tar --extract --directory "$source"
}

prepare_build_root() {
    local sysroot
    [[ -d $image/build ]] || cp --archive "$image/base" "$image/build"
    copy_source
    cp /etc/resolv.conf "$image/build/etc/resolv.conf"
    mount -t proc proc "$image/build/proc"
    sysroot=$(rustc --print sysroot)
    if [[ $sysroot != /usr ]]; then
        mkdir -p "$image/build/usr/local/rust"
        mount --bind "$sysroot" "$image/build/usr/local/rust"
        mount -o remount,bind,ro "$image/build/usr/local/rust"
    fi
    # A proxy's certificate that this machine trusts has to be trusted in there as well.
    local bundle=/etc/ssl/certs/ca-certificates.crt
    if [[ -f $bundle ]]; then
        touch "$image/build/run/machine-certificates.crt"
        mount --bind "$bundle" "$image/build/run/machine-certificates.crt"
        certificates=(CARGO_HTTP_CAINFO=/run/machine-certificates.crt)
    fi
}

# wait_for WHAT COMMAND...: polls with a deadline, and not past the end of the server.
wait_for() {
    local what=$1 deadline=$((SECONDS + 20))
    shift
    until "$@"; do
        kill -0 "$server" 2>/dev/null || fail "the server ended while waiting for $what: $(tail -n5 "$image/serve.log")"
        ((SECONDS < deadline)) || fail "no $what within 20 s: $(tail -n5 "$image/serve.log")"
        sleep 0.1
    done
}

answers() {
    python3 - "$1" <<'PYTHON' 2>/dev/null
import sys, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
sys.exit(0 if opener.open(sys.argv[1], timeout=2).status == 200 else 1)
PYTHON
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

run_result() {
    local port envoy
    server=""
    trap '[[ -z $server ]] || kill "$server" 2>/dev/null || true' EXIT
    port=$(free_port)
    cat >"$image/run/etc/meseta/meseta.yaml" <<YAML
listeners:
  - {type: model, name: models, address: 127.0.0.1, port: 12000}
model_providers:
  - {model: openai/gpt-4o, access_key: \$TEST_KEY, default: true}
server: {listen: "unix:/run/meseta/server.sock", admin: "127.0.0.1:$port"}
YAML
    mount -t proc proc "$image/run/proc"

    [[ $("${as_user[@]}" id -u):$("${as_user[@]}" id -g) == "$user" ]] || fail "the image's user is not $user"
    if "${as_user[@]}" touch /usr/local/bin/x 2>/dev/null; then fail "the image's user can write the binary's folder"; fi
    "${as_user[@]}" meseta version
    "${as_user[@]}" meseta validate /etc/meseta/meseta.yaml
    "${as_user[@]}" meseta render filter --output /run/meseta/meter.wasm
    "${as_user[@]}" meseta render envoy /etc/meseta/meseta.yaml --server unix:/run/meseta/server.sock \
        --filter "$image/run/run/meseta/meter.wasm" >"$image/envoy.yaml"
    if grep -q not-a-real-key "$image/envoy.yaml"; then fail "the rendered configuration holds a key"; fi
    envoy=${MESETA_ENVOY:-$(scripts/setup-envoy.sh)}
    "$envoy" --mode validate --config-path "$image/envoy.yaml" 2>"$image/envoy.log" ||
        fail "Envoy refuses the image's configuration: $(tail -n5 "$image/envoy.log")"

    "${as_user[@]}" meseta serve --config /etc/meseta/meseta.yaml --listen unix:/run/meseta/server.sock \
        >"$image/serve.log" 2>&1 &
    server=$!
    wait_for "answer of /healthz" answers "http://127.0.0.1:$port/healthz"
    wait_for "answer of /readyz" answers "http://127.0.0.1:$port/readyz"
    [[ -S $image/run/run/meseta/server.sock ]] || fail "no socket at /run/meseta/server.sock"
    [[ $(awk '/^Uid:/ { print $2 }' "/proc/$server/status") == "${user%:*}" ]] || fail "the server does not run as $user"
    kill -TERM "$server"
    wait "$server" || fail "the server ended with status $? after SIGTERM: $(tail -n5 "$image/serve.log")"
    server=""
    if grep -q not-a-real-key "$image/serve.log"; then fail "the server's log holds a key"; fi
    echo "healthy, ready, and stopped by SIGTERM with status 0"
}

# Two runs would undo one another's work.
mkdir -p "$image"
exec 9>"$image/lock"
flock --nonblock 9 || fail "another run is at work in .cache/image"

certificates=()
step "a Debian 12 root"
make_base
step "scripts/image.sh build"
prepare_build_root
inside "$image/build" /source/scripts/image.sh build /source /out
step "scripts/image.sh assemble"
rm -rf "$image/run"
cp --archive "$image/base" "$image/run"
cp /etc/resolv.conf "$image/run/etc/resolv.conf"
mkdir "$image/run/out"
mount --bind "$image/build/out" "$image/run/out"
install --mode=0755 scripts/image.sh "$image/run/image.sh"
inside "$image/run" /image.sh assemble /out
umount "$image/run/out"
rm -r "$image/run/out" "$image/run/image.sh"
step "the result, as user $user"
run_result
printf '\nimage-test: passed in %s s; the run root is %s MiB, the binary %s MiB\n' "$SECONDS" \
    "$(du --summarize --block-size=1M --one-file-system --exclude=proc "$image/run" | cut -f1)" \
    "$(du --block-size=1M "$image/run/usr/local/bin/meseta" | cut -f1)"
