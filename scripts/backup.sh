#!/bin/sh
# Everything into one file, while it is at work: backup.sh FILE
# Where the stack of docker-compose.yml is up, that is what it has made; else what this checkout has.
# COMPOSE names the program where it is not `docker compose`, such as COMPOSE=podman-compose.
set -eu
umask 077
file=${1:?the file to write is missing: backup.sh FILE}
case $file in /*) ;; *) file=$PWD/$file ;; esac
cd "$(dirname "$0")/.."
: "${COMPOSE:=docker compose}"

if [ -n "$($COMPOSE ps --quiet postgres 2>/dev/null || true)" ]; then
    trap 'rm -f "$file.part" "$file.dump"' EXIT
    # PostgreSQL's programs are those of its own container, and so of its version.
    $COMPOSE exec -T postgres pg_dump --username mlops --format custom --no-owner --no-privileges mlops >"$file.dump"
    $COMPOSE --profile keeper run --rm --no-deps -T keeper mlops-assets backup - --dump /dev/stdin \
        <"$file.dump" >"$file.part"
    mv "$file.part" "$file"
    ls -lh "$file"
else
    .venv/bin/mlops-assets backup "$file"
fi
