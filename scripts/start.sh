#!/bin/sh
# Bring the whole stack up and print its addresses: start.sh [OPTIONS of `compose up`]
# COMPOSE names the program where it is not `docker compose`, such as COMPOSE=podman-compose.
set -eu
cd "$(dirname "$0")/.."
: "${COMPOSE:=docker compose}"

# The value of a variable: from the environment, else from .env, else the one given here.
value() {
    eval "found=\${$1:-}"
    [ -n "$found" ] || found=$(sed -n "s/^$1=//p" "${STACK_ENV_FILE:-.env}" | tail -n 1)
    echo "${found:-$2}"
}

# A random secret in a file that containers can read, in a folder that nobody else can.
secret() {
    [ -s "$secrets/$1" ] && return
    head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$secrets/$1"
    chmod 444 "$secrets/$1"
}

[ -f "${STACK_ENV_FILE:-.env}" ] || cp .env.example "${STACK_ENV_FILE:-.env}"
secrets=$(value STACK_SECRETS ./secrets)
mkdir -p "$(value STACK_FILES ./files)" "$secrets"
chmod 700 "$secrets"
secret postgres_password
secret api_keys

# One build for all services: several at once would race for the image's name.
[ -n "${STACK_NO_BUILD:-}" ] || $COMPOSE build code
$COMPOSE up --detach --no-build "$@"
echo "Waiting until all services answer; the first time takes a minute or two."
$COMPOSE exec -T backend python /app/wait_for.py \
    tcp://postgres:5432 http://mlflow:5000/health grpc://code:4000 http://webserver:3000/server_info \
    http://127.0.0.1:8000/health

at=$(value STACK_BIND 127.0.0.1)
cat <<END

Dagster      http://$at:$(value STACK_DAGSTER_PORT 3000)
MLflow       http://$at:$(value STACK_MLFLOW_PORT 5001)
Predictions  http://$at:$(value STACK_BACKEND_PORT 8000)   (key: in $secrets/api_keys)

Train the first champion: Jobs > retrain in Dagster, or
  $COMPOSE exec code mlops-assets launch retrain --wait
END
