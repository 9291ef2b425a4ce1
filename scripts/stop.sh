#!/bin/sh
# Take the stack down and keep what it has made: stop.sh [OPTIONS of `compose down`]. With --volumes all of that is lost.
# COMPOSE names the program where it is not `docker compose`, such as COMPOSE=podman-compose.
set -eu
cd "$(dirname "$0")/.."
${COMPOSE:-docker compose} down "$@"
