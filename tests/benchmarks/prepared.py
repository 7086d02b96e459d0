"""Images on their way to training: the first start and the next, streaming, memory.

Four parts, each left out by 0 for its number of images:

- start: small JPEGs are prepared and opened, opened again, and decoded as without preparing;
- read: batches of 128 from JPEGs and from prepared folders, by threads and by grain's processes;
- train: epochs of `tiny` at 32 px, with the images in memory, streamed from a prepared folder, and
  streamed from JPEGs;
- memory: the most that a process holds which opens a prepared folder and streams all of it, of a
  twentieth of so many images and of all.

Everything is measured in processes of its own, after imports; compiling is not counted either. The
files were just written, so they come from memory, not from the disk.
"""

import functools
import json
import logging
import multiprocessing
import os
import pathlib
import tempfile
import time

import numpy as np

from tests.benchmarks import measure

_ORIGINALS = 500  # JPEGs; the others are links to them, files for whoever reads them
_BATCH = 128


def images(root: pathlib.Path, count: int, height: int, width: int) -> None:
    """A folder of JPEGs in ten sub-folders."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for i in range(count):
        folder = root / f"class_{i % 10}"
        folder.mkdir(parents=True, exist_ok=True)
        path, number = folder / f"{i:06}.jpg", i % _ORIGINALS
        if i < _ORIGINALS:
            small = rng.integers(0, 256, (height // 8, width // 8, 3), np.uint8)
            smooth = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
            noise = rng.integers(-8, 9, (height, width, 3))
            pixels = (np.asarray(smooth) + noise).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(path, quality=90)
        else:
            os.link(root / f"class_{number % 10}" / f"{number:06}.jpg", path)


def settings_of(root: pathlib.Path, size: int = 32, **fields):
    from pad_jax import config as configs

    config = configs.default(dataset__name="folder", dataset__test_split="", dataset__channels=3)
    config.dataset.root, config.dataset.image_size = str(root), size
    config.model.name, config.batch_size = "tiny", _BATCH
    config.update_from_flattened_dict(fields)
    return configs.read(config)


STREAMED = {"dataset.max_resident_gib": 0.0}


def prepare(root: pathlib.Path, output: pathlib.Path, size: int = 32) -> None:
    from pad_jax import data
    from pad_jax.data.prepared import making

    settings = settings_of(root, size)
    making.prepare(settings, data.sources(settings), output)


def opened(root: pathlib.Path, size: int = 32, **fields):
    from pad_jax import data

    return data.load(settings_of(root, size, **fields)).train


def prepared_and_opened(root: pathlib.Path, output: pathlib.Path) -> None:
    prepare(root, output)
    opened(output)


def seconds(function, *arguments) -> float:
    """Seconds that a call takes, after imports."""
    import pad_jax.data.prepared.making
    import pad_jax.data.prepared.source
    import pad_jax.train  # noqa: F401

    return measure.seconds(functools.partial(function, *arguments))


def in_process(function, *arguments):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def start(root: pathlib.Path, count: int) -> list[dict]:
    images(root / "jpeg", count, 64, 64)
    calls = {
        "first, prepared and opened": (prepared_and_opened, root / "jpeg", root / "prepared"),
        "next, opened": (opened, root / "prepared"),
        "each without preparing": (opened, root / "jpeg"),
    }
    # A pool's processes may have none of their own, so the first call is made here.
    rows = []
    for name, call in calls.items():
        elapsed = seconds(*call) if name.startswith("first") else in_process(seconds, *call)
        rows.append({"start": name, "images": count, "s": elapsed})
    return rows


class _Rows:
    """The images of some rows, as grain reads them."""

    def __init__(self, source, rows: np.ndarray):
        self._source, self._rows = source, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, i: int) -> np.ndarray:
        return self._source.picture(int(self._rows[i]))


class _Pictures:
    """Images by row, without threads of their own, so that processes can have them."""

    def __init__(self, root: pathlib.Path, size: int):
        from pad_jax import data

        settings = settings_of(root, size, **STREAMED)
        self._source = data.training_samples(settings)
        self._preparation = data.load(settings).train.preparation

    def picture(self, i: int) -> np.ndarray:
        return self._preparation.fit(self._source[i].image)


def by_grain(root: pathlib.Path, size: int, rows: np.ndarray, processes: int):
    import grain

    options = grain.ReadOptions(num_threads=6, prefetch_buffer_size=2 * _BATCH)
    wanted = grain.MapDataset.source(_Rows(_Pictures(root, size), rows.reshape(-1)))
    batches = wanted.to_iter_dataset(options).batch(_BATCH)
    if processes:
        batches = batches.mp_prefetch(grain.MultiprocessingOptions(num_workers=processes))
    return iter(batches)


def ours(root: pathlib.Path, size: int, rows: np.ndarray):
    return opened(root, size, **STREAMED).batches(rows)


def speed(batches) -> dict:
    """Seconds to the first batch, and images a second after it."""
    begun = time.perf_counter()
    first = next(batches)
    start = time.perf_counter()
    count = sum(len(batch) for batch in batches)
    elapsed = time.perf_counter() - start
    return {"px": first.shape[1], "first batch s": start - begun, "images/s": count / elapsed}


def read(root: pathlib.Path, count: int) -> list[dict]:
    from absl import flags

    flags.FLAGS.mark_as_parsed()  # grain's processes ask
    rows = []
    for size, height, width, share in ((32, 64, 64, 1), (224, 400, 533, 16)):
        folders = {kind: root / f"{kind}_{size}" for kind in ("jpeg", "prepared")}
        number = count // share
        images(folders["jpeg"], number, height, width)
        prepare(folders["jpeg"], folders["prepared"], size)
        order = np.random.default_rng(0).permutation(number)
        order = order[: number // _BATCH * _BATCH].reshape(-1, _BATCH)
        for kind, folder in folders.items():
            for name, make in {
                "as runs do": functools.partial(ours, folder, size, order),
                "grain, threads": functools.partial(by_grain, folder, size, order, 0),
                "grain, 2 processes": functools.partial(by_grain, folder, size, order, 2),
            }.items():
                rows.append({"from": kind, "by": name, **speed(make())})
                print(json.dumps(rows[-1]), flush=True)
    return rows


def train(root: pathlib.Path, count: int) -> list[dict]:
    images(root / "jpeg", count, 64, 64)
    prepare(root / "jpeg", root / "prepared")
    return in_process(epochs, root, count)


def epochs(root: pathlib.Path, count: int) -> list[dict]:
    from pad_jax import beginning, models, objectives, parallel, runtime, state
    from pad_jax.epoch import EpochRunner
    from pad_jax.graph.groups import Groups
    from pad_jax.objectives.memory import random_rows
    from pad_jax.settings import RunSettings

    runtime.configure()
    groups = Groups(np.arange(count, dtype=np.int32), np.arange(count, dtype=np.int32))

    def contender(folder: str, **fields):
        settings = settings_of(root / folder, **fields)
        held = opened(root / folder, **fields)
        encoder, objective = models.create(settings), objectives.create(settings)
        parts = beginning.step_parts(settings, encoder, objective, count, held.preparation)
        first = beginning.init_state(settings[RunSettings], parts, held)
        rows = random_rows(*first.memory.shape, seed=0)
        kept = [state.to_devices(first.replace(memory=rows, groups=groups))]
        run = EpochRunner(settings, parts, held, parallel.platform())

        def epoch():
            kept[0], _ = run(kept[0], groups, 0, run.start())

        return epoch

    contenders = {
        "resident": contender("prepared"),
        "prepared, streamed": contender("prepared", **STREAMED),
        "JPEGs, streamed": contender("jpeg", **STREAMED),
    }
    times = measure.in_turn(3, **contenders)
    return [
        {"tiny, 32 px": name, "images/s": count / s, "of resident": times["resident"] / s}
        for name, s in times.items()
    ]


def memory(root: pathlib.Path, count: int) -> list[dict]:
    rows = []
    for number in (count // 20, count):
        folder = root / str(number)
        images(folder / "jpeg", number, 64, 64)
        prepare(folder / "jpeg", folder / "prepared")
        rows.append({"images": number} | in_process(streamed_through, folder / "prepared", number))
    return rows


def streamed_through(root: pathlib.Path, count: int) -> dict:
    import pad_jax.train  # noqa: F401  # what a run has loaded

    before, begun = measure.resident_mib(), time.perf_counter()
    held = opened(root, **STREAMED)
    ready = time.perf_counter() - begun
    rows = np.random.default_rng(0).permutation(count)[: count // _BATCH * _BATCH]
    for batch in held.batches(rows.reshape(-1, _BATCH)):
        assert batch.shape == (_BATCH, 32, 32, 3)
    return {
        "opened s": ready,
        "MiB before": before,
        "MiB at most": measure.resident_mib(peak=True),
    }


def main():
    args = measure.arguments(__doc__, start=100_000, read=20_000, train=8192, memory=200_000)
    logging.getLogger("pad_jax").setLevel(logging.ERROR)
    found = {}
    for part in (start, read, train, memory):
        if count := getattr(args, part.__name__):
            with tempfile.TemporaryDirectory() as folder:
                rows = found[part.__name__] = part(pathlib.Path(folder), count)
            measure.report(part.__name__, rows, None)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
