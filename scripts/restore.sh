#!/bin/sh
# Everything back from a file of backup.sh: restore.sh FILE [--replace]
# With STACK=1, or where the stack of docker-compose.yml is up, into its volumes; its services are stopped meanwhile.
# Else into this checkout; stop what is at work in it before.
# COMPOSE names the program where it is not `docker compose`, such as COMPOSE=podman-compose.
set -eu
file=${1:?the file to read is missing: restore.sh FILE [--replace]}
replace=${2:-}
case $file in /*) ;; *) file=$PWD/$file ;; esac
cd "$(dirname "$0")/.."
: "${COMPOSE:=docker compose}"

if [ -n "${STACK:-}" ] || [ -n "$($COMPOSE ps --quiet postgres 2>/dev/null || true)" ]; then
    $COMPOSE stop mlflow code webserver daemon backend
    $COMPOSE up --detach --no-build postgres
    until $COMPOSE exec -T postgres pg_isready --quiet --host 127.0.0.1 --username mlops --dbname mlops; do sleep 1; done
    # The files first: they are refused where there are any, and nothing has happened then.
    $COMPOSE --profile keeper run --rm --no-deps -T keeper mlops-assets restore - --files-only $replace <"$file"
    tar -xOf "$file" database.dump | $COMPOSE exec -T postgres pg_restore --username mlops --dbname mlops \
        --single-transaction --clean --if-exists --no-owner --no-privileges
    $COMPOSE up --detach --no-build
else
    .venv/bin/mlops-assets restore "$file" $replace
fi
