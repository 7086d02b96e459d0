"""All results in one file, in one table and in one archive."""

import json
import pathlib
import tarfile
from collections.abc import Iterator
from typing import Any, NamedTuple

from pad_jax import outputs
from tests.benchmarks.accelerator.parts import PARTS, Options, steps_row
from tests.benchmarks.accelerator.results import Results

_LARGEST = 12e6  # bytes of a file that goes into the archive: a trace may be long
_COLUMNS = ("part", "row", "figure", "measured", "predicted", "measured / predicted")
_Content = dict[str, Any]


class Line(NamedTuple):
    """A figure with its place, in its unit; what the plan says of it, or None."""

    part: str
    row: str
    figure: str
    value: float
    unit: str
    predicted: float | None


def write(options: Options) -> str:
    """Writes ``summary.json`` and ``results.tar.gz`` (all but ``work``); gives the table."""
    contents = {part: Results(options.out, part).content for part in PARTS}
    found = [line for content in contents.values() for line in lines(content)]
    found += against_pytorch(contents["steps"], contents["pytorch"])
    summary = {
        "command": options.command,
        "commit": options.commit,
        "table": [line._asdict() for line in found],
        "parts": contents,
    }
    with outputs.whole(options.out / "summary.json") as part:
        part.write_text(json.dumps(summary, indent=1) + "\n")
    kept = [p for p in sorted(options.out.rglob("*")) if p.is_file() and _is_result(options, p)]
    archive = options.out / "results.tar.gz"
    with outputs.whole(archive) as part, tarfile.open(part, "w:gz") as tar:
        for path in kept:
            tar.add(path, str(path.relative_to(options.out)))
    return table(found)


def _is_result(options: Options, path: pathlib.Path) -> bool:
    """Whether a file is worth bringing back."""
    is_archive = path.parent == options.out and path.suffix == ".gz"
    is_work = options.work in path.parents
    return not (is_archive or is_work) and path.stat().st_size <= _LARGEST


def lines(content: _Content) -> Iterator[Line]:
    """The figures of a part, each beside what the plan says, in the same row or another one."""
    rows = content["rows"]
    planned = {k: v for row in rows.values() for k, v in row["predicted"].items()}
    for name, row in rows.items():
        for figure, measured in row["figures"].items():
            predicted = measured["predicted"] or planned.get(figure)
            value, unit = measured["value"], measured["unit"]
            yield Line(content["part"], name, figure, value, unit, predicted)


def against_pytorch(ours: _Content, theirs: _Content) -> Iterator[Line]:
    """How many times as fast our step is; ours augments its images, theirs come ready-made."""
    for name, row in theirs["rows"].items():
        own = ours["rows"].get(steps_row(name.partition(",")[0]))
        if own is not None:
            speeds = [each["figures"]["trained"]["value"] for each in (own, row)]
            yield Line("pytorch", name, "ours / PyTorch", speeds[0] / speeds[1], "", None)


def table(found: list[Line]) -> str:
    """Lines in Markdown, three digits each."""
    rows = [_COLUMNS, ["---"] * len(_COLUMNS)]
    for line in found:
        ratio = line.value / line.predicted if line.predicted else None
        values = (_number(line.value, line.unit), _number(line.predicted, line.unit))
        rows.append([*line[:3], *values, _number(ratio)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _number(value: float | None, unit: str = "") -> str:
    if value is None:
        return ""
    digits = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{digits} {unit}".strip()
