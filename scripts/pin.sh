#!/bin/sh
# Resolve everything anew and write constraints.txt: names and versions only, no addresses.
set -eu
cd "$(dirname "$0")/.."
pinned=$(mktemp)
printf 'xgboost-cpu<3.3\nuv\n' | .venv/bin/uv pip compile --quiet --universal --python-version 3.11 \
    --all-extras --no-header --no-annotate --no-emit-index-url pyproject.toml - --output-file "$pinned"
{
    echo "# The whole resolution, pinned. Written by scripts/pin.sh."
    cat "$pinned"
} >constraints.txt
rm "$pinned"
