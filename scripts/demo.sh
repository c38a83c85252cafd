#!/usr/bin/env bash
# Meseta and a model that answers, from a fresh clone: `make demo`, `make up` (--keep), `make down` (--stop). See demo/README.md.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
  echo "demo: python3, 3.10 or newer, is missing (Debian: install python3 and python3-venv)" >&2
  exit 1
fi
exec python3 -B "$root/demo/run.py" "$@"
