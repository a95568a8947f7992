#!/bin/sh
# Makes build/package, the folder that azd deploys: the program and its packages, nothing else, for the Python that the app runs on.
set -eu

stop() {
    printf 'bic: %s\n' "$1" >&2
    exit 1
}

python=$(command -v .venv/bin/python || command -v python3 || command -v python) ||
    stop "Python is not on PATH, and makes the package: install 3.11 or newer, then say 'azd package'."
"$python" infra/package.py || stop "Nothing is deployed without its package; the message above says what failed. Then say 'azd package'."
