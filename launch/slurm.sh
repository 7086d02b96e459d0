#!/usr/bin/env bash
# Trains on several GPU machines under Slurm, one process a GPU, in the environment
# that launch/gpu.sh makes. From the repository root:
#
#   sbatch launch/slurm.sh configs/imagenet.py --config.dataset.root=/data/tfds
#
# Three minutes before its time is over, or before it is moved, the job saves where it is. It goes
# on from there when it is submitted again.
#SBATCH --job-name=pad_jax
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=8
#SBATCH --gres=gpu:8
#SBATCH --cpus-per-task=8
#SBATCH --time=2-00:00:00
#SBATCH --requeue
#SBATCH --signal=TERM@180
set -euo pipefail
config=${1:?usage: sbatch launch/slurm.sh CONFIG [--config.field=value ...]}
shift
# Slurm 22.05 to 23.02 does not hand it on from the head of this file.
exec srun --cpus-per-task="${SLURM_CPUS_PER_TASK:-8}" .venv-gpu/bin/python -m pad_jax.main --distributed --config="$config" "$@"
