#!/bin/sh
# Makes build/package, the folder that azd deploys: the program and its packages, nothing else, for the Python that the app runs on.
set -eu

stop() {
    printf 'bic: %s\n' "$1" >&2
    exit 1
}

python=''
for candidate in .venv/bin/python python3 python; do # the first that runs and is new enough
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || stop "Python 3.11 or newer is not on PATH, and makes the package: install it, then say 'azd package'."
"$python" infra/package.py || stop "Nothing is deployed without its package; the message above says what failed. Then say 'azd package'."
