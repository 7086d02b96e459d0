#!/usr/bin/env bash
# Trains on all GPUs of one machine. From the repository root:
#
#   bash launch/gpu.sh configs/cifar10.py --config.model.dtype=bfloat16
#
# Makes a virtual environment with JAX for CUDA on first use, and only that without a config; a
# driver must be installed.
# bfloat16 is not yet known to keep the accuracy. Of the configs photos and imagenet take it on a GPU.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -d .venv-gpu ] || python3 -m venv .venv-gpu
.venv-gpu/bin/pip install --quiet --editable ".[cuda]"
[ $# -gt 0 ] || exit 0
config=$1
shift
exec .venv-gpu/bin/python -m pad_jax.main --config="$config" "$@"
