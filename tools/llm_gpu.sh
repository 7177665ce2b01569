#!/usr/bin/env bash
# What `mechanism/llm/studies/gpu_plan.py` asks for, on one GPU, without network, within a time limit.
# tools/llm_gpu.sh OUT [SECONDS]: PYTHON names the interpreter, which needs torch, transformers,
# peft, trl, pydantic, typer and the two model packages (see requirements-llm.txt). They may lie in a folder that PYTHONPATH names; nothing is fetched.
# `python -m mechanism.llm.studies.gpu_record OUT` then makes records of what is there.
set -euo pipefail
out=${1:?"usage: tools/llm_gpu.sh OUT [SECONDS]"} seconds=${2:-500}
cd "$(dirname "$0")/.."
export HF_HUB_OFFLINE=1 TQDM_DISABLE=1 PYTHONUNBUFFERED=1 OMP_NUM_THREADS=4
export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True
mkdir -p "$out"
"${PYTHON:-python3}" -m mechanism.llm.studies.gpu --seconds "$seconds" --out "$out" 2>&1 | tee "$out/log"
