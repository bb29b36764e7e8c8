#!/bin/sh
# Makes the Python environment .venv and installs what requirements.txt pins, every file checked by its hash.
#
#   setup/python.sh            make it, or bring it up to date
#   setup/python.sh --find     print the interpreter that would be used
#
# PYTHON=/path/to/python chooses the interpreter.
set -eu
cd "$(dirname "$0")/.."

say() { echo "setup: $*" >&2; }

suitable() {
    "$1" -c 'import ensurepip, sys, venv; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

# The system's own interpreter first: every user may execute it, which a private one in a home does not promise.
find_python() {
    for candidate in ${PYTHON:-/usr/bin/python3 python3 python3.13 python3.12 python3.11 python3.10}; do
        if suitable "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    if [ -n "${PYTHON-}" ]; then
        say "PYTHON=$PYTHON is no Python 3.10 to 3.13 with its venv module"
    else
        say "no Python 3.10 to 3.13 with its venv module found; install one, or name it: make setup PYTHON=..."
    fi
    return 1
}

if [ "${1-}" = --find ]; then
    find_python
    exit
fi

if [ -n "${PYTHON-}" ] || ! suitable .venv/bin/python; then
    python=$(find_python)
    say "making .venv with $python"
    "$python" -m venv --clear .venv
fi
export UV_PYTHON_DOWNLOADS=never PIP_DISABLE_PIP_VERSION_CHECK=1
say "installing the Python packages of requirements.txt into .venv"
.venv/bin/python -m pip install --quiet --require-hashes -r setup/uv.txt
uv() { .venv/bin/uv --quiet pip install --python .venv/bin/python --build-constraints setup/build.txt "$@"; }
uv --require-hashes --compile-bytecode -r requirements.txt  # a lab cannot write what Python compiles
uv --no-deps --editable .
touch .venv/.installed
