"""Several processes that are one run: how they meet, work of one alone, what is said of a loss."""

import faulthandler
import itertools
import os
from collections.abc import Callable
from typing import Any

import jax

from pad_jax.errors import InputError, first_line

_HEARTBEAT = 40  # seconds after which a process that is not heard of counts as dead
_ASLEEP = 1000  # milliseconds, after which a process that waits looks for signals
_DONE, _FAILED = "done", "failed: "
_NUMBERS = {"num_processes": "JAX_NUM_PROCESSES", "process_id": "JAX_PROCESS_ID"}
_works = itertools.count()  # of this process, in the order that all of them have


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


def on_first(work: Callable[[], Any], otherwise: Any) -> Any:
    """What host work gives on the first process; ``otherwise`` on the others, once it is done.

    So eight processes of a machine do not search and cluster eight times, each on all cores. The
    others sleep, for any time; signals reach them, which they would not in a collective. Each
    process has to call this.

    Args:
      work: host work without collectives; local devices may be used.
      otherwise: what the others go on with.

    Raises:
      InputError: on the others, where the work has failed; the first process raises its own error.
    """
    if jax.process_count() == 1:
        return work()
    from orbax.checkpoint import multihost  # here, not at the top: it takes a second to load

    client, key = multihost.get_jax_distributed_client(), f"pad_jax/work/{next(_works)}"
    if jax.process_index() != 0:
        _wait(client, key)
        return otherwise
    said = f"{_FAILED}it has ended"
    try:
        found = work()
        said = _DONE
        return found
    except Exception as error:
        said = _FAILED + (first_line(error) or type(error).__name__)
        raise
    finally:
        client.key_value_set(key, said)


def _wait(client: Any, key: str) -> None:
    """Sleeps until the first process has said that its work is done."""
    while True:
        try:
            said = client.blocking_key_value_get(key, _ASLEEP)
        except jax.errors.JaxRuntimeError as error:
            if "DEADLINE_EXCEEDED" not in str(error):
                raise
        else:
            break
    if said != _DONE:
        raise InputError(f"the first process: {said.removeprefix(_FAILED)}")
