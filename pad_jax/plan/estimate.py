"""What a run needs of devices and of time, from its programs: figures, and a table of them."""

from collections.abc import Mapping
from typing import Any

from pad_jax.groupings import GroupingSettings
from pad_jax.plan.costs import Cost
from pad_jax.plan.programs import Program, Programs
from pad_jax.plan.topologies import Peaks, Topology
from pad_jax.settings import RunSettings, Settings

_COLUMNS = {"training": "training step", "embedding": "batch embedded", "graph": "graph"}
_LOWER = {  # where it does not fit
    "training": "batch_size, or dataset.max_resident_gib (images then come from the disk)",
    "embedding": "eval.batch_size",
    "graph": "dataset.max_images",
}


def estimate(
    settings: Settings,
    programs: Programs,
    num_samples: int,
    topology: Topology,
    host_rate: float | None = None,
) -> dict[str, Any]:
    """The figures of a plan.

    Times are the least that the devices' peaks allow: of products, of their memory, of the links
    between them, each as if it had the device for itself. The longest is the limit.

    Args:
      settings: of the run.
      programs: its compiled programs.
      num_samples: N.
      topology: what they were compiled for.
      host_rate: images/s that the host decodes; None where it is not asked for.

    Returns:
      For JSON, bytes and seconds: ``programs`` by name, ``epoch`` and ``run`` (None where the
      devices' peaks are not known), and in words what ``does_not_fit``.
    """
    peaks, parts = topology.peaks, programs.parts
    rows: dict[str, dict[str, Any]] = {}
    for name in _COLUMNS:
        program = getattr(programs, name)
        if program is not None:
            rows[name] = _row(name, program, programs, peaks)
    run_settings = settings[RunSettings]
    views = parts.num_views * run_settings.batch_size
    if not programs.is_resident and host_rate:
        _add_limit(rows["training"], "input", views / host_rate)
    epoch = None
    if peaks is not None:
        epoch = {"training": parts.steps_per_epoch * rows["training"]["seconds"]}
        if "graph" in rows and parts.objective.looks_for_groups(1):
            epoch["graph"] = rows["graph"]["seconds"]
            if settings[GroupingSettings].features == "embed":
                batches = -(-num_samples // programs.embedded)
                epoch["embedding"] = batches * rows["embedding"]["seconds"]
    return {
        "topology": topology.name,
        "devices": len(topology.devices),
        "num_samples": num_samples,
        "batch_size": run_settings.batch_size,
        "steps_per_epoch": parts.steps_per_epoch,
        "num_epochs": run_settings.num_epochs,
        "resident": programs.is_resident,
        "host_images_per_second": host_rate,
        "device_memory": peaks.memory if peaks else None,
        "memory_bank": programs.memory_bank,
        "programs": rows,
        "epoch": epoch,
        "run": run_settings.num_epochs * sum(epoch.values()) if epoch else None,
        "does_not_fit": _does_not_fit(rows, peaks),
    }


def _row(name: str, program: Program, programs: Programs, peaks: Peaks | None) -> dict[str, Any]:
    # The training's state and samples stay where they are while the others run.
    held = programs.training.arguments
    more = program.temporaries + (0 if name == "training" else program.arguments)
    row: dict[str, Any] = {
        "held": held,
        "more": more,
        "flops": dict(program.cost.flops),
        "moved": program.cost.moved,
        "sent": program.cost.sent,
        "compile_seconds": program.compiled,
        "limits": {},
    }
    if peaks is not None:
        row["left"] = peaks.memory - held - more
        for limit, seconds in least(program.cost, peaks).items():
            _add_limit(row, limit, seconds)
    return row


def least(cost: Cost, peaks: Peaks) -> dict[str, float]:
    """Seconds that a device takes at least, by what limits it; the longest is the limit."""
    return {
        "compute": sum(value / peaks.flops[kind] for kind, value in cost.flops.items()),
        "memory": cost.moved / peaks.bandwidth,
        "links": cost.sent / peaks.links,
    }


def _add_limit(row: dict[str, Any], limit: str, seconds: float) -> None:
    row["limits"][limit] = seconds
    row["limit"] = max(row["limits"], key=row["limits"].get)
    row["seconds"] = row["limits"][row["limit"]]


def _does_not_fit(rows: Mapping[str, Mapping[str, Any]], peaks: Peaks | None) -> list[str]:
    if peaks is None:
        return []
    return [
        f"{_COLUMNS[name]}: {-row['left'] / 1e9:.1f} GB too many; take more devices, or lower "
        f"{_LOWER[name]}"
        for name, row in rows.items()
        if row["left"] < 0
    ]


def table(plan: Mapping[str, Any]) -> str:
    """The figures in words, a column for each program."""
    rows = plan["programs"]
    known = plan["device_memory"] is not None
    lines = [
        f"{plan['num_samples']:,} samples, {'on each device' if plan['resident'] else 'streamed'}; "
        f"batch {plan['batch_size']}, {plan['steps_per_epoch']:,} steps an epoch; "
        f"{plan['devices']} device{'s' if plan['devices'] > 1 else ''}, {plan['topology']}",
        "",
        _line("of one device", *(_COLUMNS[name] for name in rows)),
        _line("held by the run, GB", *(_giga(row["held"]) for row in rows.values())),
        _line("  the memory bank in it", *(_giga(plan["memory_bank"]) for _ in rows)),
        _line("more in this program, GB", *(_giga(row["more"]) for row in rows.values())),
    ]
    if known:
        left = (_giga(row["left"]) for row in rows.values())
        lines.append(_line(f"left of {_giga(plan['device_memory'])} GB", *left))
    products = (_number(sum(row["flops"].values()) / 1e12) for row in rows.values())
    lines += [
        _line("products, TFLOP", *products),
        _line("moved, GB", *(_giga(row["moved"]) for row in rows.values())),
        _line("sent to others, GB", *(_giga(row["sent"]) for row in rows.values())),
    ]
    if known:
        lines += [
            _line("takes at least, ms", *(_number(row["seconds"] * 1e3) for row in rows.values())),
            _line("limited by", *(row["limit"] for row in rows.values())),
        ]
    lines += ["", *_times(plan), *(f"Does not fit: {said}." for said in plan["does_not_fit"])]
    return "\n".join(lines)


def _times(plan: Mapping[str, Any]) -> list[str]:
    if plan["epoch"] is None:
        return [
            "What these devices can do is not known, so neither are the times; --topology=h100:1 "
            "plans for others."
        ]
    parts = ", ".join(f"{name} {_number(value)} s" for name, value in plan["epoch"].items())
    said = [
        f"An epoch takes at least {_number(sum(plan['epoch'].values()))} s ({parts}); "
        f"{plan['num_epochs']} epochs {_number(plan['run'] / 3600)} h.",
        "Not counted: the search and other work on the host, evaluation, compiling.",
    ]
    if not plan["resident"] and plan["host_images_per_second"] is None:
        said.append("The images are streamed: --host_images_per_second counts that, too.")
    return said


def _line(title: str, *cells: str) -> str:
    return f"{title:<26}" + "".join(f"{cell:>16}" for cell in cells)


def _giga(value: float) -> str:
    return _number(value / 1e9)


def _number(value: float) -> str:
    """Three digits, without an exponent."""
    if value == 0:
        return "0"
    digits = max(0, 3 - len(str(int(abs(value))))) if abs(value) >= 1 else 3
    return f"{value:,.{digits}f}"
