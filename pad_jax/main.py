"""Command line: ``python -m pad_jax.main --config=configs/digits.py [--config.batch_size=256]``."""

import logging
import pathlib
import re
import sys

import jax
from absl import app, flags
from absl import logging as absl_logging
from ml_collections import config_flags

from pad_jax import metrics, runtime, sweep, train
from pad_jax.errors import InputError

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "The run's config, such as configs/digits.py.", lock_config=True
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder of the run; by default runs/<name of the config>."
)
_MODE = flags.DEFINE_enum(
    "mode",
    "train",
    ("train", "evaluate", "sweep"),
    "Train, evaluate the newest checkpoint, or train a whole table of the paper.",
)
_TABLE = flags.DEFINE_string("table", "table3", "Which table of configs/tables.py to sweep.")
_SEEDS = flags.DEFINE_integer("seeds", 3, "With how many seeds, 0 and up.", lower_bound=1)
_JOBS = flags.DEFINE_integer(
    "jobs",
    1,
    "How many runs of a sweep train at once, on a share of the CPU's cores each; 1 on a GPU.",
    lower_bound=1,
)
_DISTRIBUTED = flags.DEFINE_bool(
    "distributed", False, "One of several processes, as on a TPU pod or under Slurm."
)
_VALUES = {
    "int": "an integer",
    "float": "a number",
    "bool": "True or False",
    "multi tuple": "a tuple, such as (0.5,1.0), in quotation marks",
}


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise InputError(f"{argv[1]!r} is no flag; flags are written --name=value")
    logger = _log_to_stderr()
    runtime.configure()
    name = pathlib.Path(config_flags.get_config_filename(flags.FLAGS["config"])).stem
    if _MODE.value == "sweep":
        logger.setLevel(logging.INFO)
        print(_sweep(name))
        return
    if _DISTRIBUTED.value:
        jax.distributed.initialize()
    is_first = jax.process_index() == 0
    logger.setLevel(logging.INFO if is_first else logging.WARNING)
    workdir = _workdir(f"runs/{name}")
    run = train.train if _MODE.value == "train" else train.evaluate
    results = run(_CONFIG.value, workdir)
    if is_first:
        print(metrics.results_table(results))


def _sweep(name: str) -> str:
    """Trains a table; in processes of their own, so that no device is used in this one."""
    from configs import tables  # not at the top: the other modes need no folder of that name

    if _DISTRIBUTED.value:
        raise InputError("--mode=sweep is for one process; leave --distributed out")
    config, flag = _CONFIG.value, flags.FLAGS["config"]
    return sweep.run_table(
        tables.get_table(_TABLE.value, config, name),
        _TABLE.value,
        config,
        config_file=config_flags.get_config_filename(flag),
        overrides=config_flags.get_override_values(flag),
        seeds=range(_SEEDS.value),
        workdir=_workdir(f"runs/{name}_tables"),
        jobs=_JOBS.value,
    )


def _workdir(default: str) -> pathlib.Path:
    if "://" in (_WORKDIR.value or ""):
        raise InputError(
            f"--workdir={_WORKDIR.value} is no folder; mount the bucket and give its path"
        )
    return pathlib.Path(_WORKDIR.value or default).expanduser()


def _parse_flags(argv: list[str]) -> list[str]:
    try:
        rest = flags.FLAGS(argv)
        if _CONFIG.value is None:
            raise InputError("--config is missing; give one, such as --config=configs/digits.py")
        _CONFIG.value["seed"]  # a file that could not be loaded says so only when it is used
        return rest
    except (ImportError, OSError) as error:
        given = next((a for a in argv if a.startswith("--config=")), "--config")
        reason = f" ({error})" if isinstance(error, ImportError) else ""
        raise InputError(f"{given} cannot be loaded{reason}; the configs are in configs/") from None
    except (AttributeError, KeyError) as error:
        field = re.search(r"\w+", str(error).replace("\\n", "\n"))
        meant = re.search(r'Did you mean "(\w+)"', str(error))
        hint = f"; did you mean {meant[1]}?" if meant else ""
        raise InputError(f"the config has no field {field[0] if field else error}{hint}") from None
    except flags.IllegalFlagValueError as error:
        raise InputError(_illegal_value(str(error))) from None
    except (flags.Error, SyntaxError, TypeError, ValueError) as error:
        raise InputError(" ".join(str(error).split())) from None


def _illegal_value(message: str) -> str:
    """``message``, "flag --name=value: reason", with what a field of the config takes instead."""
    flag, _, reason = message.partition(": ")
    name = flag.removeprefix("flag --").partition("=")[0]
    if name.startswith("config."):
        kind = flags.FLAGS[name].flag_type()
        reason = f"use {_VALUES.get(kind, f'a flag for each field, --{name}.FIELD=VALUE')}"
    return f"{flag}: {reason}"


def _log_to_stderr() -> logging.Logger:
    """Shows what this project logs; of the libraries only warnings."""
    absl_logging.set_verbosity(absl_logging.WARNING)
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("pad_jax")
    logger.addHandler(handler)
    logger.propagate = False
    return logger


def run() -> None:
    """Runs ``main``; bad input ends in one line on standard error and exit status 2."""
    try:
        app.run(main, flags_parser=_parse_flags)
    except InputError as error:
        print(f"pad_jax: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("pad_jax: stopped; the same command goes on from the last epoch", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    run()
