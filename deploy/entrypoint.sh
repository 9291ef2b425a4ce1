#!/bin/sh
# Hand the database's password to libpq, wait for what WAIT_FOR lists, then become the command.
set -eu
secret=/run/secrets/postgres_password
if [ -r "$secret" ]; then
    # A file of its own, which others may not read, or libpq would not take it. No URL, variable or log holds the password.
    rm -f "$PGPASSFILE"
    (umask 077 && printf 'postgres:*:*:mlops:%s\n' "$(sed 's/[\\:]/\\&/g' "$secret")" >"$PGPASSFILE")
fi
# Addresses without spaces: the shell splits them into words.
[ -z "${WAIT_FOR:-}" ] || python /app/wait_for.py $WAIT_FOR
# Dagster's own processes have switches of their own for what runs and server do by the setting.
if [ "${MLOPS_LOG_FORMAT:-}" = json ]; then
    export DAGSTER_WEBSERVER_LOG_FORMAT=json DAGSTER_CLI_API_GRPC_LOG_FORMAT=json
    [ "$1" != dagster-daemon ] || set -- "$@" --log-format json
fi
exec "$@"
