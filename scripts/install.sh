#!/bin/sh
# Install the project with the pinned set into .venv, each package checked by its digest: install.sh EXTRAS [PYTHON]
# Without a GPU the CPU build of XGBoost is taken: the same version and code, half a gigabyte less.
# What the installer says goes to .venv/install.log, and is shown where it fails.
set -eu
cd "$(dirname "$0")/.."
extras=$1
python=${2:-python3}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Python 3.11 or newer is needed, and $python is $("$python" -V 2>&1): make PYTHON=python3.12 run" >&2
    exit 1
}

install() {
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    if ! [ -x .venv/bin/uv ]; then
        # pip takes digests of what it is asked for, and none from constraints.
        asked=$(mktemp)
        sed -n '/^uv==/,/[^\\]$/p' constraints.txt >"$asked"
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement "$asked"
        rm "$asked"
    fi
    set -- --editable ".${extras:+[$extras]}" --constraint constraints.txt --compile-bytecode --python .venv/bin/python
    if [ "$(uname -s)" = Linux ] && ! command -v nvidia-smi >/dev/null 2>&1; then
        set -- "$@" --override scripts/cpu-overrides.txt xgboost-cpu
    fi
    .venv/bin/uv pip install "$@"
}

# One line that moves on a terminal, until it is ended.
watch() {
    began=$(date +%s)
    while [ -t 1 ]; do
        printf '\rInstalling: %s s \033[K' "$(($(date +%s) - began))"
        sleep 1
    done
}

echo "Installing the pinned packages into .venv: about 2.5 minutes and 1.2 GB, once; the next start takes seconds."
mkdir -p .venv
log=.venv/install.log
watch &
watcher=$!
trap 'kill $watcher 2>/dev/null || true' EXIT
set +e
(
    set -e
    install
) >"$log" 2>&1
code=$?
set -e
[ ! -t 1 ] || printf '\r\033[K'
if [ "$code" -ne 0 ]; then
    cat "$log" >&2
    echo "The installation failed; this was all of $log." >&2
    exit "$code"
fi
