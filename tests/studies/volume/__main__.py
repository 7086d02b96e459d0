"""The search, the graph and the loss against slow, plain counterparts, on very many inputs.

    python -m tests.studies.volume graphs       # 100,000 SCS searches against networkx
    python -m tests.studies.volume neighbors    # graphs against float64, on 1 and on 8 devices
    python -m tests.studies.volume losses       # losses and gradients against float64

Prints the seed, and of each difference what repeats it: the command with ``--seed``, and the case.
Ends with status 1 where there is any.
"""

import argparse
import importlib
import os
import subprocess
import sys
import time

COUNTS = {"graphs": 100_000, "neighbors": 25, "losses": 25}  # of these, see each module's ``cases``
_DEVICES = (1, 8)


def on_devices(number: int, *arguments: str) -> subprocess.CompletedProcess:
    """This command in a process of its own, with so many devices."""
    flags = f"--xla_force_host_platform_device_count={number}"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-m", "tests.studies.volume", *arguments, "--here"]
    return subprocess.run(command, env=environment)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=COUNTS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, help="of inputs, of each kind")
    parser.add_argument("--here", action="store_true", help="on the devices at hand alone")
    given = parser.parse_args()
    count = COUNTS[given.what] if given.count is None else given.count
    if given.what == "neighbors" and not given.here:
        arguments = ("neighbors", f"--seed={given.seed}", f"--count={count}")
        return max(on_devices(number, *arguments).returncode for number in _DEVICES)
    # Here: JAX reads its environment when it is imported.
    module = importlib.import_module(f"tests.studies.volume.{given.what}")
    start, total, wrong = time.perf_counter(), 0, 0
    for case in module.cases(given.seed, count):
        total += 1
        if case.wrong:
            wrong += 1
            print(f"seed {case.seed}, number {case.number}, {case.what}: {case.wrong}", flush=True)
    devices = f", {_device_count()} devices" if given.what == "neighbors" else ""
    seconds = time.perf_counter() - start
    print(
        f"{given.what}, seed {given.seed}{devices}: {total} cases, {wrong} mismatches, "
        f"{seconds:.0f} s"
    )
    return 1 if wrong or not total else 0


def _device_count() -> int:
    import jax

    return jax.device_count()


if __name__ == "__main__":
    sys.exit(main())
