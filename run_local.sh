#!/usr/bin/env bash
# One command from a fresh clone to real log lines in a real Elasticsearch; ./run_local.sh --help tells all.
# This file only finds a Python; local/bootstrap.py makes the virtual environment, local/ does the rest.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

for python in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
  if "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
    exec "$python" -P "$root/local/bootstrap.py" "$@"
  fi
done
cat >&2 <<'TEXT'
run_local.sh: no Python 3.11, 3.12 or 3.13 on the PATH. Debian, Ubuntu: apt-get install python3 python3-venv;
or set PYTHON to one that is elsewhere.
TEXT
exit 1
