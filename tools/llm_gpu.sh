#!/usr/bin/env bash
# What `mechanism/llm/studies/gpu_plan.py` asks for, on one GPU, without network, within a time limit.
# tools/llm_gpu.sh OUT [SECONDS]: a process for each part of the plan; PYTHON names the interpreter,
# which needs torch, transformers, peft, pydantic, typer and the two model packages (see
# requirements-llm.txt). They may lie in a folder that PYTHONPATH names; nothing is fetched.
# `python -m mechanism.llm.studies.gpu_record OUT` then makes records of what is there.
set -euo pipefail
out=${1:?"usage: tools/llm_gpu.sh OUT [SECONDS]"} seconds=${2:-500}
cd "$(dirname "$0")/.."
export HF_HUB_OFFLINE=1 TQDM_DISABLE=1 PYTHONUNBUFFERED=1 OMP_NUM_THREADS=4
export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True
mkdir -p "$out"
for process in 0 1 2; do
  "${PYTHON:-python3}" -m mechanism.llm.studies.gpu --process "$process" \
    --seconds "$seconds" --out "$out/$process" > "$out/$process.log" 2>&1 &
done
wait
tail -n 1 "$out"/*.log
