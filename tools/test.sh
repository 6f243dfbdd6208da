#!/usr/bin/env bash
# Everything that must hold before a change lands. Run it from anywhere; `make test` and .ci/run do.
set -euo pipefail
cd "$(dirname "$0")/.."
export OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false PYTHONHASHSEED=0

say() { printf '\n== %s\n' "$*"; }
limited() { if command -v timeout >/dev/null; then timeout "$@"; else shift; "$@"; fi; }

say install
tools/setup.sh dev
export PATH="$PWD/.venv/bin:$PATH"

say notebooks are clean, and say what the package says
before=$(mktemp -d)
trap 'rm -rf "$before"' EXIT
cp -R nbs clintrial README.md "$before"
find clintrial -name '*.py' -not -name '__init__.py' -delete     # a renamed notebook leaves its old module
if ! { nbdev_clean && nbdev_export && python tools/nb.py render >/dev/null; }; then
    rm -rf clintrial && cp -R "$before/clintrial" clintrial
    echo 'A notebook cannot be read or exported: the lines above say which. The modules are as they were.' && exit 1
fi
out_of_step=
for part in nbs clintrial README.md; do
    diff -ru -x __pycache__ -x .ipynb_checkpoints "$before/$part" "$part" >"$before/changes" || out_of_step+=" $part"
    cut -c1-200 "$before/changes" | head -n 40
done
if [ -n "$out_of_step" ]; then
    echo "The notebooks are the source, and these did not agree with them:$out_of_step"
    echo 'They have just been rewritten (nbdev_clean; nbdev_export; python tools/nb.py render): look at the change and commit it.'
    exit 1
fi

say notebooks run from top to bottom
flags=$(python -c 'import torch; print("slow gpu" if torch.cuda.is_available() else "slow")')
limited 3000 python tools/test_notebooks.py $flags

say the package works as users import it
limited 3000 python -m pytest -n 2 --dist loadfile --ignore tests/browser --durations 15 tests

say the panels work in a browser
tools/browser.sh
limited 1200 python -m pytest -n 2 --dist loadfile --durations 5 tests/browser
