#!/usr/bin/env bash
# Run the demo. Each name in OPTIONS is a variable: DATA='my file.tsv' becomes the option --data='my file.tsv'.
set -euo pipefail
cd "$(dirname "$0")/.."
options=()
for name in ${OPTIONS:-}; do
    option=$(printf '%s' "$name" | tr 'A-Z_' 'a-z-')
    options+=("--$option=${!name}")
done
exec .venv/bin/python -m clintrial.demo ${options[@]+"${options[@]}"}
