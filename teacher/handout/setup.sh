#!/usr/bin/env bash
# Gradescope runs this once, as root, when it builds the container: an environment for the lab.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ ! -d "$root/lab" ]; then root=$root/source; fi
python=python3
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
    echo "Python 3.10 or newer is needed: choose Ubuntu 22.04 or newer as base image" >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    apt-get update
    apt-get install -y --no-install-recommends python3-venv
fi
"$python" -m venv "$root/environment"
"$root/environment/bin/python" -m pip install -q --disable-pip-version-check --no-cache-dir \
    -r "$root/lab/requirements.txt" --extra-index-url https://download.pytorch.org/whl/cpu
# The code under test runs as a user without a name, who must not see the solved files.
chmod 700 "$root/lab"
