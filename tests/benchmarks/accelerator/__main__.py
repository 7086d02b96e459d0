"""``python -m tests.benchmarks.accelerator --minutes=9 --out=DIR --data=cifar10.tar.xz``.

The same command goes on where the last one stopped. It installs nothing.
"""

from pad_jax import signals

if __name__ == "__main__":  # before what takes its time to load
    signals.install()

import argparse
import pathlib
import shlex
import sys
import time
from collections.abc import Sequence

from tests.benchmarks.accelerator import environment, schedule, summary
from tests.benchmarks.accelerator.parts import PARTS, Options
from tests.benchmarks.accelerator.results import Results
from tests.benchmarks.accelerator.sizes import FULL, TINY


def main(argv: Sequence[str], start: float) -> None:
    """Measures, and prints the table of all that is known by now.

    Raises:
      SystemExit: where nothing is known of any part that was asked for.
    """
    options = read(argv)
    try:
        schedule.run(options, start, lambda line: print(line, flush=True))
    finally:
        print(f"\n{summary.write(options)}\nAll of it: {options.out / 'summary.json'}", flush=True)
    if not any(Results(options.out, part).content["rows"] for part in options.parts):
        sys.exit("nothing was measured; the lines above say why")


def read(argv: Sequence[str]) -> Options:
    """What a command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.accelerator",
        description="Measures on the accelerator at hand what fits into the minutes.",
    )
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder of the results")
    parser.add_argument("--minutes", type=float, default=9.0, help="all of it may take (9)")
    parser.add_argument(
        "--parts",
        type=_parts,
        default=list(PARTS),
        help=f"which, in this order, by default {','.join(PARTS)}",
    )
    parser.add_argument(
        "--data",
        type=pathlib.Path,
        help="images, split/class/file: an archive or a folder; or an .npz of arrays",
    )
    parser.add_argument("--commit", help="of the code, where git does not know it")
    parser.add_argument("--seed", type=int, default=0, help="of everything random (0)")
    parser.add_argument(
        "--together",
        type=int,
        default=1,
        help="so many whole runs at once, where one does not fill the accelerator (1)",
    )
    parser.add_argument(
        "--tiny", action="store_true", help="rehearse on a CPU, with sizes that mean nothing"
    )
    args = parser.parse_args(argv)
    if args.data is not None and not args.data.exists():
        parser.error(f"--data={args.data} does not exist")
    return Options(
        out=args.out.absolute(),
        minutes=args.minutes,
        parts=args.parts,
        data=args.data and args.data.absolute(),
        commit=args.commit or environment.commit() or "unknown",
        command=shlex.join(["python", "-m", "tests.benchmarks.accelerator", *argv]),
        seed=args.seed,
        together=max(args.together, 1),
        sizes=TINY if args.tiny else FULL,
    )


def _parts(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in PARTS]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(PARTS)}")
    return names


if __name__ == "__main__":
    begun = time.time()
    signals.ready()
    try:
        main(sys.argv[1:], begun)
    except signals.Stopped as stopped:
        signals.leave(stopped.signum, "stopped; the same command goes on from there")
