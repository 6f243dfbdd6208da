#!/usr/bin/env bash
# Serve the panels as a web page on this machine alone (127.0.0.1), from the notebook nbs/94_app.ipynb. Ctrl-C ends it.
#   PORT=8866 tools/app.sh     another port;  BROWSER=none tools/app.sh   opens no browser
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
export JUPYTER_PATH=$root/tools/app${JUPYTER_PATH:+:$JUPYTER_PATH}      # our page, which fetches nothing from elsewhere
export CLINTRIAL_APP=${CLINTRIAL_APP:-$root/runs/app}                    # what is trained stays here
export HF_HUB_OFFLINE=${HF_HUB_OFFLINE:-1} TOKENIZERS_PARALLELISM=false
mkdir -p "$CLINTRIAL_APP"
options=(--template=clintrial --Voila.ip=127.0.0.1 --VoilaConfiguration.extension_denylist=jupyterlab-jupytext)
if [ -n "${PORT:-}" ]; then options+=(--port="$PORT"); fi
if [ "${BROWSER:-}" = none ]; then options+=(--no-browser); fi
echo 'The first visit trains two small models: about a minute.'
exec .venv/bin/python -m voila nbs/94_app.ipynb "${options[@]}"
