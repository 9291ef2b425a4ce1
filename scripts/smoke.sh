#!/bin/sh
# Try the whole stack, under names and ports of its own: up, a retraining over GraphQL, predictions over HTTP, each service
# killed in turn, down and up again. What is lost on the way is a failure. Everything is removed at the end.
#   COMPOSE  the program where it is not `docker compose`, such as COMPOSE=podman-compose
#   KEEP     any value leaves the stack up
set -eu
cd "$(dirname "$0")/.."
: "${COMPOSE:=docker compose}"
folder=$(mktemp -d)
export COMPOSE COMPOSE_PROJECT_NAME=mlops-smoke STACK_ENV_FILE="$folder/.env" STACK_SECRETS="$folder/secrets" \
    STACK_FILES="$folder/files" STACK_DAGSTER_PORT=13000 STACK_MLFLOW_PORT=15001 STACK_BACKEND_PORT=18000 \
    STACK_BIND=127.0.0.1 STACK_DATABASE_URL=""
backend=http://127.0.0.1:$STACK_BACKEND_PORT
flight='{"departure_at": "2014-01-06T08:00", "scheduled_departure": 800, "scheduled_arrival": 1110, "carrier": "UA",
         "origin": "EWR", "destination": "SFO", "distance": 2565}'

say() { printf '%s %s\n' "$(date +%T)" "$*"; }

finish() {
    code=$?
    [ $code = 0 ] || { say "FAILED"; $COMPOSE logs --tail 40 2>&1 || true; }
    if [ -z "${KEEP:-}" ]; then
        $COMPOSE down --volumes >/dev/null 2>&1 || true
        rm -rf "$folder"
    fi
    exit $code
}
trap finish EXIT
trap 'exit 130' INT TERM

# Try a command until it succeeds, for five minutes.
patiently() {
    tries=0
    until "$@" >"$folder/said" 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt 150 ] || { cat "$folder/said"; return 1; }
        sleep 2
    done
}

# Predictions and Dagster's API, as programs on this machine ask them.
predict() {
    curl --fail --silent --show-error --max-time 20 --header "X-API-Key: $(cat "$STACK_SECRETS/api_keys")" \
        --header "Content-Type: application/json" --data "$flight" "$backend/predict"
}

graphql() {
    curl --fail --silent --show-error --max-time 20 --header "Content-Type: application/json" \
        --data "{\"query\": \"$1\"}" "http://127.0.0.1:$STACK_DAGSTER_PORT/graphql"
}

runs() { graphql "{ runsOrError(filter: {statuses: [$1]}) { ... on Runs { count } } }" | tr -dc 0-9; }

launch() { $COMPOSE exec -T code mlops-assets launch "$@"; }

# What must be the same whatever crashes: the answer, the registry, every run and what it made.
memory() {
    predict | sed 's/"request_id".*//'
    curl --fail --silent --show-error --max-time 20 \
        "http://127.0.0.1:$STACK_MLFLOW_PORT/api/2.0/mlflow/registered-models/get?name=nyc_flights"
    graphql "{ runsOrError { ... on Runs { results { runId status } } } assetNodes { id assetMaterializations { runId partition } } }"
}

is_as_before() { memory >"$folder/now" && cmp "$folder/before" "$folder/now"; }

is_well() { $COMPOSE exec -T code mlops-assets doctor --services; }

is_at_work() { [ "$(runs STARTED)" -ge 2 ]; }

is_idle() { [ "$(runs 'QUEUED, NOT_STARTED, STARTING, STARTED, CANCELING')" = 0 ]; }

is_logged() {
    count="SELECT count(*) FROM prediction_log WHERE request_id = '$1'"
    [ "$($COMPOSE exec -T postgres psql --username mlops --tuples-only --no-align --command "$count")" = 1 ]
}

# The process that does the work dies, as by a fault of its own; the restart policy does the rest.
crash() { $COMPOSE exec -T "$1" sh -c 'kill -9 $(cat /proc/1/task/1/children)' || true; }

mkdir -p "$STACK_FILES"
# Three periods and one model type: a retraining of two minutes.
sed -e 's/last: .*/last: 2013-03/' -e 's/train_periods: [0-9]*/train_periods: 1/' \
    mlops_assets/dataset/shipped/nyc_flights.yaml >"$STACK_FILES/flights.yaml"
cat >"$STACK_ENV_FILE" <<END
MLOPS_DATASET=/app/files/flights.yaml
MLOPS_MODEL_TYPES=Ridge
MLOPS_MAX_TRIALS=2
MLOPS_TUNING_ROWS=5000
MLOPS_MODEL_POLL_SECONDS=2
MLOPS_WATCH_SOURCE=false
END

say "up"
sh scripts/start.sh
say "a retraining over GraphQL"
launch retrain --wait
say "a prediction over HTTP"
patiently predict
answer=$(predict)
echo "$answer"
request=$(echo "$answer" | sed 's/.*"request_id": *"\([^"]*\)".*/\1/')
say "a prediction as a run"
launch predict --wait --rows "[$flight]"
is_well
patiently is_logged "$request"
memory >"$folder/before"

for service in postgres mlflow code webserver daemon backend; do
    say "$service crashes"
    crash "$service"
    patiently is_as_before
    patiently is_well
done

say "a new period, and the code server crashes in the middle of its retraining"
sed -i 's/last: .*/last: 2013-04/' "$STACK_FILES/flights.yaml"
crash code
patiently launch retrain
patiently is_at_work
crash code
patiently launch retrain --wait
patiently is_idle
graphql "{ assetNodes { id assetMaterializations { partition } } }" | grep -q 2013-04
patiently predict
memory >"$folder/before"

say "down and up again"
sh scripts/stop.sh
STACK_NO_BUILD=1 sh scripts/start.sh
patiently is_as_before
is_logged "$request"
say "nothing was lost"
