#!/bin/sh
# Resolve everything anew and write constraints.txt: names, versions and digests of all files, no addresses.
set -eu
cd "$(dirname "$0")/.."
pinned=$(mktemp)
printf 'xgboost-cpu<3.3\nuv\n' | .venv/bin/uv pip compile --quiet --universal --python-version 3.11 \
    --all-extras --no-header --no-annotate --no-emit-index-url --generate-hashes pyproject.toml - --output-file "$pinned"
{
    echo "# The whole resolution, pinned, with the digests of all files. Written by scripts/pin.sh."
    cat "$pinned"
} >constraints.txt
rm "$pinned"
