"""Whole runs: CIFAR-10 in the paper's setting, the rows of its tables, ResNet-18."""

import functools
import gc
import shutil
import statistics
import time
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from configs import cifar10 as cifar10_config
from pad_jax import config as configs
from pad_jax import tables, train
from pad_jax.data.preparation import Pixels
from pad_jax.modes import evaluate
from pad_jax.plan import estimate, programs, topologies
from pad_jax.run import checkpoints, metrics
from pad_jax.settings import Settings
from tests.benchmarks.accelerator import environment, images, timing
from tests.benchmarks.accelerator.parts import Figure, Options, Result, Row, Skipped
from tests.benchmarks.accelerator.results import Results

_PROBE = "linear probe, conv5"
_EVALUATED = {
    "kNN, embedding": "eval/knn_accuracy",
    "kNN, fc": "eval/knn_accuracy_fc",
    _PROBE: "eval/linear_accuracy_conv5",
    "k-means ACC": "eval/kmeans_acc",
    "k-means ACC, deviation": "eval/kmeans_acc_std",
    "k-means NMI": "eval/kmeans_nmi",
    "k-means ARI": "eval/kmeans_ari",
    "pair precision of the groups": "scs/pair_precision",
    "coverage": "scs/coverage",
}
# From where on do groups help on photographs (docs/studies/cifar.md)?
_SINGLETONS, _FRESH = {"grouping.kind": "singleton"}, {"grouping.features": "embed"}
_NO_HPE = {"loss.hpe": "none"}
_COMPARED = {
    "singletons": _SINGLETONS,
    "PAD, fresh graph": _FRESH,
    "singletons without HPE": {**_SINGLETONS, **_NO_HPE},
    "PAD without HPE": {**_FRESH, **_NO_HPE},
    "PAD, a tenth of the edges": {**_FRESH, "grouping.edge_share": 0.1},
    "PAD as published": {},
    "AND": {"grouping.kind": "anchor_neighbors", **_NO_HPE},
    # By the labels: what the best groups of this size would bring.
    "PAD, purified": {**_FRESH, "grouping.kind": "tests.studies.pair_precision:Purified"},
    "PAD, edges by the graph": {**_FRESH, "grouping.edge_share": "auto"},
}
_TELLING, _DECIDING = 6, 2  # the first so many come first, of these a second seed then
# Of 200 epochs of AlexNet, in this order, with about the seconds that they take.
_COMPARED_AT_LENGTH = {
    "PAD, a tenth of the edges": 350,
    "singletons": 350,
    "singletons without HPE": 200,
    "AND": 200,
}
_TABLES = ("table3", "table1", "table4", "table5", "table6")  # of table 1 AND alone
_WITHOUT = ("Random", "DeepCluster", "Instance", "RotNet", "PAD")


def cifar10(options: Options, results: Results) -> list[Row]:
    """AlexNet for 200 epochs."""
    base = _config(options, options.sizes.epochs, **{"eval.every_epochs": 50})
    return _whole_run(options, results, "cifar10", base, seconds=400)


def compared(options: Options, results: Results) -> list[Row]:
    """The same with purer groups, with others, and with none."""
    base = _config(options, options.sizes.epochs, **{"eval.every_epochs": 50})
    rows = [
        _row(options, results, name, "compared", configs.changed(base, _COMPARED[name]), seconds)
        for name, seconds in _COMPARED_AT_LENGTH.items()
    ]
    return rows[: options.sizes.rows_of_tables]


def resnet18(options: Options, results: Results) -> list[Row]:
    """ResNet-18 for 200 epochs."""
    base = _config(
        options,
        options.sizes.resnet_epochs,
        **{"model.name": "resnet18", "eval.every_epochs": 50, "eval.probe": ()},
    )
    return _whole_run(options, results, "resnet18", base, seconds=900)


def schedules(options: Options, results: Results) -> list[Row]:
    """A small encoder for 60 epochs, with and without groups; then all of it with another seed.

    Their probes by epoch come last.
    """
    sizes = options.sizes
    base = _config(
        options,
        sizes.schedule_epochs,
        **{"model.name": "tiny", "model.dtype": "float32"},
        **{"eval.every_epochs": 10, "eval.kmeans_runs": 3},
        **{"checkpoint.keep": sizes.schedule_epochs},
    )
    names = list(_COMPARED)
    runs = [(name, options.seed) for name in names]
    again = [(name, options.seed + 1) for name in names]
    order = [*runs[:_TELLING], *again[:_DECIDING], *runs[_TELLING:], *again[_DECIDING:]]
    rows, probes = [], []
    for name, seed in order[: sizes.rows_of_tables]:
        config = configs.changed(base, {**_COMPARED[name], "seed": seed})
        row = _row(options, results, f"{name}, seed {seed}", "schedules", config, 100)
        probe = functools.partial(_probe, options, _folder("schedules", row.name), config)
        rows.append(row)
        probes.append(Row(f"{row.name}, probe", 30, probe, after=row.name))
    return rows + probes


def ablations(options: Options, results: Results) -> list[Row]:
    """The rows of the paper's tables, shortened; rows of several tables are one run."""
    sizes, found = options.sizes, {}
    base = _config(
        options,
        sizes.ablation_epochs,
        **{"eval.every_epochs": 0, "eval.probe": (), "eval.kmeans_runs": 3},
    )
    for name in _TABLES:
        table = tables.get_table(name, base, "cifar10")
        for row in table.rows:
            if name != "table1" or row.name not in _WITHOUT:
                found.setdefault(row.changes(base), row)
    return [
        _row(options, results, name, "ablations", configs.changed(base, row.overrides), 100)
        for name, row in list(found.items())[: sizes.rows_of_tables]
    ]


def _whole_run(
    options: Options, results: Results, name: str, config: ConfigDict, *, seconds: float
) -> list[Row]:
    run = functools.partial(_run, options, results, "run", name, config)
    plan = functools.partial(_plan, options, config)
    # The plan's programs are compiled by then.
    return [Row("run", seconds, run, can_be_cut=True), Row("plan", 30, plan, after="run")]


def _row(
    options: Options, results: Results, name: str, part: str, config: ConfigDict, seconds: float
) -> Row:
    """One of several runs of a part."""
    run = functools.partial(_run, options, results, name, _folder(part, name), config)
    return Row(name, seconds, run, can_be_cut=True)


def _folder(part: str, row: str) -> str:
    """What the folder of a row's run is called."""
    return f"{part},{row}".replace(" ", "_")


def _config(options: Options, num_epochs: int, **overrides: Any) -> ConfigDict:
    config = cifar10_config.get_config()
    config.seed, config.num_epochs = options.seed, num_epochs
    config.update_from_flattened_dict(
        {
            "model.name": options.sizes.encoder,
            "model.dtype": "bfloat16",
            "dataset.name": "npz",
            "dataset.root": str(options.images),
            "eval.pixels": False,
            "checkpoint.every_epochs": 10,
            **overrides,
            **options.sizes.overrides,
        }
    )
    return config


def _run(
    options: Options,
    results: Results,
    row: str,
    name: str,
    config: ConfigDict,
) -> Result:
    """Trains, from where it was stopped, to the end; says how far it came in any case."""
    workdir, start = options.work / "runs" / name, time.perf_counter()
    images.decoded(options)
    before = len(metrics.read(workdir))
    # What is cut off for good leaves this, without its seconds.
    attempt = {"seconds": None, "epochs": [before], **environment.describe(options, "jax")}
    results.attempt(row, attempt)
    try:
        last = train.train_and_evaluate(config, workdir)
    finally:
        epochs = metrics.read(workdir)
        results.attempted(
            row,
            {
                "seconds": time.perf_counter() - start,
                "epochs": [before, len(epochs)],
                "peak_bytes": timing.peak_bytes(),
            },
        )
        if epochs:
            curves = options.out / "curves"
            curves.mkdir(exist_ok=True)
            shutil.copyfile(workdir / "metrics.jsonl", curves / f"{name}.jsonl")
        gc.collect()  # what the run held on the device
        jax.clear_caches()
    attempts = results.attempts(row)
    figures = {k: Figure(last[metric]) for k, metric in _EVALUATED.items() if metric in last}
    figures["epochs"] = Figure(last["epoch"])
    figures |= _times(epochs)
    seconds = [each["seconds"] for each in attempts]
    if None not in seconds:
        figures["start to report"] = Figure(sum(seconds), "s")
    peaks = [each["peak_bytes"] for each in attempts if each.get("peak_bytes")]
    if peaks:
        figures["peak device memory"] = timing.gigabytes(max(peaks))
    changed = configs.differences(configs.default().to_dict(), config.to_dict())
    return Result(figures, details={"config": {name: value for name, _, value, _ in changed}})


def _probe(options: Options, folder: str, config: ConfigDict) -> Result:
    """The linear probe after each epoch whose checkpoint a run has kept."""
    workdir = options.work / "runs" / folder
    kept = checkpoints.epochs(workdir)
    if config.num_epochs not in kept:
        raise Skipped("the run's checkpoints are not here; they stay behind with OUT/work")
    images.decoded(options)
    config = configs.changed(config, {"eval.evaluators": ("linear",)})
    figures = {}
    for epoch in kept:
        found = evaluate.evaluate(config, workdir, epoch)
        figures[f"{_PROBE}, epoch {epoch}"] = Figure(found[_EVALUATED[_PROBE]])
    gc.collect()  # what the encoders held on the device
    jax.clear_caches()
    return Result(figures)


def _times(epochs: list[metrics.Row]) -> dict[str, Figure]:
    """Of each part of an epoch the seconds in all, and the median of the epochs."""
    figures = {}
    for part in ("train", "graph", "search", "structure", "evaluation", "report", "checkpoint"):
        times = [row[f"time/{part}"] for row in epochs if f"time/{part}" in row]
        if times:
            figures[f"{part}, in all"] = Figure(sum(times), "s")
        if len(times) == len(epochs):
            figures[f"{part}, an epoch"] = Figure(statistics.median(times), "s")
    speeds = [row["train/images_per_second"] for row in epochs]
    return figures | {"trained": Figure(statistics.median(speeds), "images/s")}


def _plan(options: Options, config: ConfigDict) -> Result:
    """What the plan says of the run."""
    with np.load(images.decoded(options)) as arrays:
        count, *shape = arrays["x_train"].shape
    count = min(count, config.dataset.max_images or count)
    return plan_of(configs.read(config), Pixels(tuple(shape)), count)


def plan_of(
    settings: Settings, preparation: Pixels, count: int, *, of: str | None = None
) -> Result:
    """The plan of a run on the devices at hand, and what it says of figures by their names.

    The peak of memory is that of the program ``of``, where the others are not measured with it.
    """
    topology = topologies.at_hand()
    compiled = programs.compile_run(settings, preparation, count, topology)
    plan = estimate.estimate(settings, compiled, count, topology)
    needed = {k: program["held"] + program["more"] for k, program in plan["programs"].items()}
    held = needed[of] if of else max(needed.values())
    predicted = {"peak device memory": held / 1e9}
    if plan["epoch"]:
        predicted["train, an epoch"] = plan["epoch"]["training"]
        predicted["graph, an epoch"] = plan["epoch"]["graph"]
        predicted["step, median"] = 1e3 * plan["programs"]["training"]["seconds"]
    return Result({}, predicted, {"plan": plan})
