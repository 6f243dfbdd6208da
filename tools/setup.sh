#!/usr/bin/env bash
# Make .venv with the tested versions (constraints.txt). Quick, and without a network, when nothing changed.
#   tools/setup.sh        what users need
#   tools/setup.sh dev    and what authors need
# PYTHON=python3.12 tools/setup.sh picks another interpreter for a new .venv.
set -euo pipefail
cd "$(dirname "$0")/.."
kind=${1:-user}
python=.venv/bin/python
log=.venv/setup.log
cpu_index=https://download.pytorch.org/whl/cpu
torch=$(grep -E '^torch==' constraints.txt)

say()  { printf '%s\n' "$*" >&2; }
stop() { say "$*"; exit 1; }

# -- is there anything to do?
fingerprint() { cat settings.ini constraints.txt setup.py pyproject.toml tools/setup.sh | cksum; printf '%s\n' "$PWD"; }
stamp() { printf '%s' ".venv/ready-$1"; }
is_ready() { [ -x $python ] && [ -f "$(stamp "$1")" ] && [ "$(fingerprint)" = "$(cat "$(stamp "$1")")" ]; }
if is_ready "$kind" || { [ "$kind" = user ] && is_ready dev; }; then exit 0; fi

# -- an interpreter
is_recent='import sys; sys.exit(sys.version_info < (3, 11))'
if [ -x .venv/bin/pip ] && ! head -3 .venv/bin/pip | grep -qF "$PWD/.venv/"; then
    say 'The folder has moved since .venv was made: making it anew.'
    rm -rf .venv
fi
if ! $python -c "$is_recent" 2>/dev/null; then
    base=${PYTHON:-python3}
    command -v "$base" >/dev/null || stop "There is no $base here. Install Python 3.11 or later, or name one: make demo PYTHON=/path/to/python3.12"
    "$base" -c "$is_recent"        || stop "$("$base" --version) is too old: Python 3.11 or later is needed. Name one: make demo PYTHON=python3.12"
    say "Making .venv with $("$base" --version)"
    "$base" -m venv --clear .venv  || stop 'Python cannot make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv'
fi
rm -f .venv/ready-*
: > $log

# -- the packages
install() { $python -m pip install --disable-pip-version-check --no-input -c constraints.txt "$@" >>$log 2>&1; }
has_graphics_card() { command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1; }
has_tested_torch() {
    $python -c 'import sys, importlib.metadata as m; sys.exit(m.version("torch").split("+")[0] != sys.argv[1])' "${torch#*==}" 2>/dev/null
}
answers() { timeout 10 $python -c 'import sys, urllib.request as web; web.urlopen(sys.argv[1], timeout=5)' "$1" >>$log 2>&1; }

if ! has_tested_torch; then
    if has_graphics_card; then say "Installing $torch for the graphics card"
    elif [ "$(uname -s)" != Linux ]; then say "Installing $torch"
    elif answers $cpu_index/torch/ && say "Installing $torch for the processor (no NVIDIA card here)" \
         && install --no-deps --timeout 30 --retries 1 --index-url $cpu_index "$torch"; then :
    else say "Installing $torch from the package registry ($cpu_index does not answer)"
    fi
fi
say "Installing clintrial and the versions it was tested with (some minutes the first time; the log is $log)"
wanted=.
if [ "$kind" = dev ]; then wanted='.[dev]'; fi
if ! install "$torch" --editable "$wanted"; then
    grep -v '^WARNING: Location' $log | tail -n 30 >&2
    stop "The installation failed: the lines above are the end of $log."
fi
fingerprint > "$(stamp "$kind")"
say 'Ready: .venv'
