"""Model.embed: beside the encoder alone, of one image, and the memory that many photographs take.

Measured in processes of their own, since what is measured is also the most memory ever held. The
encoder alone is its jitted ``apply`` in batches of 256, whose results are fetched.
"""

import json
import multiprocessing
import pathlib
import tempfile
import time

import numpy as np

from tests.benchmarks import measure


def beside_the_encoder(name: str, count: int) -> dict:
    """``embed`` of images of 32 px, an array and one by one, and the encoder's own time."""
    import jax

    from pad_jax.data.preparation import Pixels
    from tests.support.small_models import untrained

    model = untrained(Pixels((32, 32, 3)), name)
    images = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), np.uint8)
    apply = jax.jit(lambda v, x: model.encoder.apply(v, x.astype(np.float32) / 127.5 - 1))
    variables = jax.device_put(model.variables)
    batches = [images[i : i + 256] for i in range(0, count - 255, 256)]

    def encoder():
        waiting = None  # one batch ahead, as embed is
        for batch in batches:
            found = apply(variables, batch)["embedding"]
            if waiting is not None:
                np.asarray(waiting)
            waiting = found
        np.asarray(waiting)

    whole = images[: 256 * len(batches)]
    seconds = measure.in_turn(
        3,
        encoder=encoder,
        array=lambda: model.embed(whole),
        one_by_one=lambda: model.embed(iter(whole)),
        one_image=lambda: model.embed(whole[:1]),
    )
    row = {"encoder": name, "images": len(whole), "encoder alone s": seconds["encoder"]}
    for key in ("array", "one_by_one"):
        row[f"{key} / encoder"] = seconds[key] / seconds["encoder"]
    return row | {"one image s": seconds["one_image"]}


def photographs(kind: str, count: int) -> dict:
    """``embed`` of photographs of 400 x 533 px at 64 px, from files or made one by one."""
    from PIL import Image

    from pad_jax.data.preparation import Pixels
    from tests.support.small_models import untrained

    model = untrained(Pixels((64, 64, 3)))
    rng = np.random.default_rng(0)

    def photograph(i):
        small = Image.fromarray(rng.integers(0, 256, (25, 34, 3), np.uint8))
        return np.asarray(small.resize((533, 400), Image.Resampling.BICUBIC))

    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        originals = [photograph(i) for i in range(200)]
        if kind != "generator":
            (root / "originals").mkdir()
            (root / "links").mkdir()
            for i, image in enumerate(originals):
                Image.fromarray(image).save(root / f"originals/{i}.jpg", quality=90)
            originals.clear()
            for i in range(count):
                (root / f"links/{i:06}.jpg").symlink_to(root / f"originals/{i % 200}.jpg")
        model.embed(np.zeros((1, 64, 64, 3), np.uint8))
        before, start = measure.resident_mib(), time.perf_counter()
        images = {
            "generator": lambda: (originals[i % 200].copy() for i in range(count)),
            "paths": lambda: (root / f"links/{i:06}.jpg" for i in range(count)),
            "folder": lambda: root / "links",
        }[kind]()
        found = model.embed(images)
        assert found.shape == (count, 128)
        return {
            "photographs": kind,
            "count": count,
            "s": time.perf_counter() - start,
            "MiB before": before,
            "MiB at most": measure.resident_mib(peak=True),
        }


def main():
    args = measure.arguments(__doc__, images=10_000, photographs=20_000)
    names = ("tiny", "alexnet") if args.images >= 1000 else ("tiny",)
    calls = [(beside_the_encoder, name, args.images) for name in names]
    calls += [(photographs, kind, args.photographs) for kind in ("generator", "paths", "folder")]
    rows = []
    for function, *arguments in calls:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            rows.append(pool.apply(function, arguments))
            print(json.dumps(rows[-1]), flush=True)
    of_encoders = [row for row in rows if "encoder" in row]
    measure.report("Model.embed beside its encoder", of_encoders, None)
    measure.report("Model.embed of photographs", [r for r in rows if r not in of_encoders], None)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
