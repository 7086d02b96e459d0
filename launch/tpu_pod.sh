#!/usr/bin/env bash
# Trains on a Cloud TPU, one host or a pod, from your own machine. Needs gcloud, logged in.
#
#   TPU=my-pod ZONE=us-central2-b WORKDIR=/mnt/shared/run REPOSITORY=https://... \
#     bash launch/tpu_pod.sh configs/imagenet.py --config.dataset.root=/mnt/shared/tfds
#
# Every host runs the same command; --distributed makes one run of them. The work folder must be
# a path that all hosts see (a mounted disk, or a bucket mounted as a folder). The batch must be a
# multiple of the number of TPU cores.
set -euo pipefail
: "${TPU:?}" "${ZONE:?}" "${WORKDIR:?}" "${REPOSITORY:?}"
config=${1:?usage: bash launch/tpu_pod.sh CONFIG [--config.field=value ...]}
shift
run="[ -d pad_jax_run ] || git clone -q $(printf '%q' "$REPOSITORY") pad_jax_run; cd pad_jax_run && git pull -q"
run+=" && python3 -m venv .venv && .venv/bin/pip install -q -e '.[tpu]'"
run+=" && .venv/bin/python -m pad_jax.main --distributed"
for argument in "--config=$config" "--workdir=$WORKDIR" "$@"; do
  run+=" $(printf '%q' "$argument")"
done
exec gcloud compute tpus tpu-vm ssh "$TPU" --zone="$ZONE" --worker=all --command="$run"
