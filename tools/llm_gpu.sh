#!/usr/bin/env bash
# Both games by regression from one pool on one GPU, without network, within a time limit.
# tools/llm_gpu.sh OUT [SECONDS]: a process for each game; PYTHON names the interpreter, which needs
# torch, transformers, peft, pydantic, typer and the two model packages (see requirements-llm.txt).
# They may lie in a folder that PYTHONPATH names; nothing is fetched.
set -euo pipefail
out=${1:?"usage: tools/llm_gpu.sh OUT [SECONDS]"} seconds=${2:-500}
cd "$(dirname "$0")/.."
export HF_HUB_OFFLINE=1 TQDM_DISABLE=1 PYTHONUNBUFFERED=1 OMP_NUM_THREADS=4
mkdir -p "$out"
for game in harmless_humor faithful_summary; do
  "${PYTHON:-python3}" -m mechanism.llm.runs.gpu --game "$game" --seed 0 --seed 1 \
    --seconds "$seconds" --out "$out/$game" > "$out/$game.log" 2>&1 &
done
wait
tail -n 1 "$out"/*.log
