#!/usr/bin/env bash
# Chromium for the browser tests: silent where it is there, installed where that is possible (Debian and Ubuntu, as root), else said why not.
# Never fails: without a browser those tests are skipped, with their reason.
set -uo pipefail
say() { printf '%s\n' "$*" >&2; }
for name in "${CLINTRIAL_CHROMIUM:-}" chromium chromium-browser google-chrome-stable google-chrome; do
    if [ -n "$name" ] && command -v "$name" >/dev/null; then exit 0; fi
done
why_not() { say "The browser tests will be skipped: $*"; exit 0; }
command -v apt-get >/dev/null || why_not 'there is no chromium, and no apt-get to install it. Install Chromium or Chrome and run again.'
[ "$(id -u)" = 0 ]            || why_not 'there is no chromium, and only root can install it: sudo apt-get install chromium'
say 'Installing chromium for the browser tests'
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
limited() { if command -v timeout >/dev/null; then timeout "$@"; else shift; "$@"; fi; }
if { limited 300 apt-get update -q && limited 900 apt-get install -yq --no-install-recommends chromium; } >"$log" 2>&1 && command -v chromium >/dev/null; then
    say "Ready: $(command -v chromium)"
else
    tail -n 5 "$log" >&2
    why_not 'apt-get could not install chromium; its last lines are above.'
fi
