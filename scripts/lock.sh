#!/usr/bin/env bash
# Writes requirements-dev.lock: the newest versions that pyproject.toml allows, exactly. `make lock` calls it.
# Made with the oldest Python that we support, so that the versions exist for all of them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${PYTHON:-python3.11}" -m venv "$scratch/venv"
python=$scratch/venv/bin/python
"$python" scripts/requirements.py build demo pandas arrow plot test >"$scratch/wanted.txt"
"$python" -m pip install --quiet --upgrade pip
"$python" -m pip install --quiet --requirement "$scratch/wanted.txt"
{
    echo "# Exact versions of what \`make test\` uses. Written by \`make lock\`: do not edit."
    "$python" -m pip freeze --exclude pip --exclude setuptools
} >"$scratch/lock.txt"
if grep -nE '://| @ |^-' "$scratch/lock.txt"; then
    echo "error: a lock has names and versions only" >&2
    exit 1
fi
mv "$scratch/lock.txt" requirements-dev.lock
