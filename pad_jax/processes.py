"""Several processes that are one run: how they meet, and what is said where one is lost."""

import faulthandler
import os

import jax

from pad_jax.errors import InputError, first_line

_HEARTBEAT = 40  # seconds after which a process that is not heard of counts as dead
_NUMBERS = {"num_processes": "JAX_NUM_PROCESSES", "process_id": "JAX_PROCESS_ID"}


def join() -> None:
    """Makes this process one of several: those of Slurm, a TPU pod, MPI, or the environment's.

    Raises:
      InputError: where neither says what processes there are.
    """
    try:
        given = {name: int(os.environ[v]) for name, v in _NUMBERS.items() if v in os.environ}
        jax.distributed.initialize(**given, heartbeat_timeout_seconds=_HEARTBEAT)
    except (RuntimeError, TypeError, ValueError) as error:
        raise InputError(
            f"--distributed finds no other processes ({first_line(error)}); leave it out, start "
            "the run by Slurm, MPI or on a TPU pod, or set JAX_COORDINATOR_ADDRESS (host:port of "
            f"the first process), {' and '.join(_NUMBERS.values())}"
        ) from None
    # Where another process is lost JAX says so and aborts; every thread's stack would bury that.
    faulthandler.disable()
