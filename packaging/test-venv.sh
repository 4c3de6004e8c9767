#!/usr/bin/env bash
# Python tools that tests use, in target/test-venv. Takes a moment when they are there.
#
#   packaging/test-venv.sh
set -eu -o pipefail
cd "$(dirname "$0")/.."
venv=target/test-venv
stamp=$venv/requirements.txt
cmp -s packaging/test-requirements.txt "$stamp" && exit
python3 -c 'import venv, ensurepip' 2>/dev/null || {
    echo "test: Python's venv is missing: install the package python3-venv, then run this again" >&2
    exit 1
}
python3 -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r packaging/test-requirements.txt
cp packaging/test-requirements.txt "$stamp"
