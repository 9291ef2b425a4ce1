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
exec "$@"
