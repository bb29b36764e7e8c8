#!/bin/sh
# Makes the Python environment .venv and installs what requirements.txt pins, every file checked by its hash.
#
#   setup/python.sh            make it, or bring it up to date; does nothing when it is
#   setup/python.sh --find     print the interpreter that would be used
#
# PYTHON=/path/to/python chooses the interpreter.
set -eu
unset CDPATH
cd "$(dirname "$0")/.."
NAMES="/usr/bin/python3 python3 python3.14 python3.13 python3.12 python3.11 python3.10"
RANGE="3.10 to 3.14"
STAMP=.venv/.installed # names what is installed; without it an environment is incomplete
SYSTEM_CERTIFICATES="/etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem"

say() { echo "setup: $*" >&2; }
fail() { say "$@"; exit 1; }

# -- the interpreter

shortcoming() { # prints why the interpreter $1 cannot make the environment; prints nothing if it can
    short=$("$1" -c '
import sys
number = "Python %d.%d.%d" % sys.version_info[:3]  # old versions understand this, too
if not (3, 10) <= sys.version_info[:2] <= (3, 14):
    sys.exit(number)
try:
    import ensurepip, venv
except ImportError:
    sys.exit(number + " without its venv module")' 2>&1 >/dev/null) && return
    case $short in
    "Python "*) echo "$short" ;;
    *) echo "not a working Python" ;;
    esac
}

# The system's own interpreter comes first: every user may execute it. A private one in a home may be closed to others.
find_python() {
    if [ -n "${PYTHON-}" ]; then
        command -v "$PYTHON" >/dev/null || fail "PYTHON=$PYTHON: no such program"
        short=$(shortcoming "$PYTHON")
        [ -z "$short" ] || fail "PYTHON=$PYTHON is $short; use Python $RANGE with its venv module"
        command -v "$PYTHON"
        return
    fi
    found=
    for name in $NAMES; do
        path=$(command -v "$name") || continue
        short=$(shortcoming "$path")
        [ -n "$short" ] || { echo "$path"; return; }
        found="$found${found:+, }$path ($short)"
    done
    fail "no Python $RANGE with its venv module; found: ${found:-none at all}." \
        "Install one, or name it: make setup PYTHON=..."
}

if [ "${1-}" = --find ]; then
    find_python
    exit
fi

# -- is there anything to do?

# The stamp names packages, interpreter and place: an environment cannot be moved, and needs its interpreter.
wanted() { # the stamp of an environment of the interpreter $1
    "$1" -c 'import sys; print(sys.version, sys.base_prefix)' && pwd -P &&
        cat requirements.txt pyproject.toml setup/uv.txt setup/build.txt setup/python.sh | cksum
}
current() {
    stamp=$(wanted .venv/bin/python 2>/dev/null) && [ "$stamp" = "$(cat "$STAMP" 2>/dev/null)" ] || return 1
    [ -z "${PYTHON-}" ] || [ "$stamp" = "$(wanted "$PYTHON" 2>/dev/null)" ]
}

! current || exit 0

# A second set-up waits. If the shell of the first was killed, its programs still hold the lock.
exec 9<setup
flock -n 9 || { say "waiting for another set-up of this directory"; flock 9; }
! current || exit 0

# -- the environment, always made from the start: remains of an interrupted set-up cannot be trusted

python=$(find_python)
[ -d .venv ] || rm -f .venv # a dangling link
for place in . .venv; do
    [ ! -d $place ] || [ -w $place ] ||
        fail "$PWD/.venv is missing or out of date, and you may not write $place: ask its owner to run make setup"
done
say "making .venv with $python"
rm -f "$STAMP"
mkdir -p .venv
find .venv/ -mindepth 1 -delete
export UV_PYTHON_DOWNLOADS=never PIP_DISABLE_PIP_VERSION_CHECK=1
export TMPDIR="$PWD/.venv/tmp" # pip and uv leave files there
mkdir "$TMPDIR"
# Settings of pip that name other places do not apply here.
unset PIP_TARGET PIP_PREFIX PIP_ROOT UV_REQUIRE_HASHES
export PIP_USER=no
"$python" -m venv .venv
say "installing the Python packages of requirements.txt into .venv"
.venv/bin/python -m pip install --quiet --require-hashes -r setup/uv.txt

# uv ignores pip's settings and has its own certificates. Here it uses pip's index, and pip's certificates or else
# the system's: behind a proxy that inspects TLS nothing else works.
settings=$(.venv/bin/python -m pip config list 2>/dev/null || true)
setting() { # prints a setting of pip, from the environment or else from pip's files
    for source in ':env:' install global; do
        value=$(echo "$settings" | sed -n "s/^$source\.$1='\(.*\)'$/\1/p")
        [ -z "$value" ] || { echo "$value"; return; }
    done
}
index=$(setting index-url)
[ -z "$index" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX-$index}"
if [ -z "${SSL_CERT_FILE-}${SSL_CERT_DIR-}" ]; then
    certificates=$(setting cert)
    if [ -n "$certificates" ]; then
        export SSL_CERT_FILE="$certificates"
    else
        for certificates in $SYSTEM_CERTIFICATES; do
            [ ! -s "$certificates" ] || { export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS-true}"; break; }
        done
    fi
fi
cache=$(.venv/bin/uv cache dir) && mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ] ||
    export UV_NO_CACHE=1 # a home that may not be written
uv() { .venv/bin/uv --quiet pip install --python .venv/bin/python --build-constraints setup/build.txt "$@"; }
uv --require-hashes --compile-bytecode -r requirements.txt  # a lab cannot write compiled files
uv --no-deps --editable .
.venv/bin/python -m compileall -qq lq controllers topologies || true # other users may not write here
rm -rf "$TMPDIR"
wanted .venv/bin/python >"$STAMP.new"
mv "$STAMP.new" "$STAMP"
