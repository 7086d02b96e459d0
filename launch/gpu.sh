#!/usr/bin/env bash
# Trains on all GPUs of one machine. From the repository root:
#
#   bash launch/gpu.sh configs/cifar10.py --config.model.dtype=bfloat16
#
# Makes a virtual environment with JAX for CUDA on first use; a driver must be installed.
# bfloat16 is not yet known to keep the accuracy; float32 is the configs' default.
set -euo pipefail
cd "$(dirname "$0")/.."
config=${1:?usage: bash launch/gpu.sh CONFIG [--config.field=value ...]}
shift
if [ ! -d .venv-gpu ]; then
  python3 -m venv .venv-gpu
  .venv-gpu/bin/pip install --quiet --requirement requirements.txt "jax[cuda12]"
fi
exec .venv-gpu/bin/python -m pad_jax.main --config="$config" "$@"
