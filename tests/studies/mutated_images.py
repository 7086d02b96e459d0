"""Damaged image files of every format, in a run: each is read or counted, and none ends it.

    python -m tests.studies.mutated_images --count=1000 --seed=0

The files are made of whole ones by turning bits, cutting, writing extreme numbers and joining
(``tests.support.mutations``). ``pad-jax`` trains on them for one epoch, in a process of its own.
"""

import argparse
import collections
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np

from tests.support.mutations import mutated


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="how many files (1000)")
    parser.add_argument("--seed", type=int, default=0, help="of what is done to them (0)")
    parser.add_argument("--keep", type=pathlib.Path, help="a folder to make them in")
    given = parser.parse_args()
    print(f"seed {given.seed}, {given.count} files")
    with tempfile.TemporaryDirectory() as made:
        folder = given.keep or pathlib.Path(made) / "images"
        folder.mkdir(parents=True)
        for name, content in mutated(np.random.default_rng(given.seed), given.count):
            (folder / name).write_bytes(content)
        begun = time.perf_counter()
        run = subprocess.run(
            [
                *(sys.executable, "-m", "pad_jax", "--config=folder"),
                *(f"--config.dataset.root={folder}", f"--workdir={made}/run"),
                *("--config.num_epochs=1", "--config.batch_size=32", "--config.model.name=tiny"),
                "--config.dataset.max_resident_gib=0",
            ],
            capture_output=True,
            text=True,
            errors="backslashreplace",
        )
        seconds = time.perf_counter() - begun
        return _told(run, [path.suffix for path in folder.iterdir()], seconds)


def _told(run: subprocess.CompletedProcess, endings: list[str], seconds: float) -> int:
    """Prints the outcome; the exit status: 0 where it is as it has to be."""
    all_files = collections.Counter(endings)
    skipped = collections.Counter(
        match[1]
        for match in re.finditer(r"Skipped, cannot be decoded: .*?/\d{4} \w+(\.\w+): ", run.stderr)
    )
    total = re.search(r"Skipped (\d+) of (\d+) images", run.stderr)
    print("| | " + " | ".join(sorted(all_files)) + " | all |")
    print("|---" * (len(all_files) + 2) + "|")
    for title, counts in (("read", all_files - skipped), ("counted as unreadable", skipped)):
        figures = [counts[ending] for ending in sorted(all_files)]
        print(f"| {title} | " + " | ".join(map(str, [*figures, sum(figures)])) + " |")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(f"exit status {run.returncode}, {seconds:.0f} s, at most {peak:.2f} GiB of memory")
    own = re.compile(r"\d\d:\d\d:\d\d ")
    others = [line for line in run.stderr.splitlines() if line and not own.match(line)]
    print(f"lines that are not the program's: {len(others)}", *others[:20], sep="\n  ")
    as_counted = total is not None and int(total[1]) == skipped.total()
    failed = run.returncode or "Traceback" in run.stderr or not as_counted
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
