#!/usr/bin/env bash
# Trains, exports and measures for about two minutes on drawn pictures, in a virtual environment of its own. Not part of
# `make test`: it fetches PyTorch.
#
#   packaging/test-training.sh
set -eu -o pipefail
cd "$(dirname "$0")/.."
venv=target/training-venv
python3 -c 'import venv, ensurepip' 2>/dev/null || {
    echo "test-training: Python's venv is missing: install the package python3-venv, then run this again" >&2
    exit 1
}
[[ -x $venv/bin/python ]] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r models/training/requirements.txt
exec "$venv/bin/python" models/training/smoke.py
