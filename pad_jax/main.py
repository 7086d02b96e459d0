"""Command line: ``pad-jax --config=digits [--config.batch_size=256] [--workdir=runs/mine]``.

``python -m pad_jax.main --config=configs/digits.py`` is the same. ``python -m pad_jax.config``
prints what ``--config.<field>`` can be, as a page.
"""

from pad_jax import signals

if __name__ == "__main__":  # before what takes its time to load
    signals.install()

import logging
import os
import pathlib
import re
import signal
import sys
import traceback
import warnings
from typing import NoReturn

import jax
from absl import app, flags
from absl import logging as absl_logging
from ml_collections import config_flags
from tqdm import tqdm

from pad_jax import arguments, processes, registry, runtime, sizing, storage, usage
from pad_jax import config as configs
from pad_jax.errors import InputError, first_line
from pad_jax.modes import MODES
from pad_jax.modes import flags as shared
from pad_jax.modes.base import Call, Mode, check_overrides
from pad_jax.paths import check_encodable, expanded, local
from pad_jax.run import folder, recorded
from pad_jax.settings import flatten

with arguments.readable():
    _CONFIG = config_flags.DEFINE_config_file(
        "config",
        None,
        "The run's config: the name of one that comes with the package, such as digits, or a file.",
        lock_config=True,
    )
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder of the run; by default runs/<name of the config>."
)
_MODE = flags.DEFINE_string(
    "mode", "train", f"What to do: {', '.join(MODES)}, or package.module:MODE."
)
_DISTRIBUTED = flags.DEFINE_bool(
    "distributed", False, "One of several processes, as on a TPU pod or under Slurm."
)
_DETERMINISTIC = flags.DEFINE_bool(
    "deterministic", False, "On GPUs: the same bits each time, more slowly. CPUs do so anyway."
)
_NEEDS_LESS = (
    "lower batch_size, dataset.image_size or dataset.max_resident_gib (images then come from the "
    "disk), or take a smaller model.name"
)
_VALUES = {
    "int": "an integer",
    "float": "a number",
    "bool": "True or False",
    "multi tuple": 'a tuple in quotation marks, such as "(0.5,1.0)" or "(\'fc\',)"',
}


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise InputError(f"{argv[1]!r} is no flag; flags are written --name=value")
    mode = _find_mode(_MODE.value)
    logger = _log_to_stderr()
    flag = flags.FLAGS["config"]
    call = Call(
        _CONFIG.value,
        config_flags.get_config_filename(flag),
        config_flags.get_override_values(flag),
        workdir=shared.path(_WORKDIR),
        images=shared.path(shared.IMAGES),
        features=shared.path(shared.FEATURES),
        output=shared.path(shared.OUTPUT),
        epoch=shared.EPOCH.value,
        config_given=arguments.given(arguments.with_flag_files(sys.argv), "config"),
    )
    if mode.has_run and call.features is None:
        check_encodable(call.run_folder)
    config = sizing.as_recorded(call.config, call.run_folder)
    runtime.configure(
        deterministic=_DETERMINISTIC.value,
        bfloat16=dict(flatten(config)).get("model.dtype") == "bfloat16",
    )
    for name in shared.NAMES:
        if flags.FLAGS[name].value is not None and name not in mode.takes:
            is_root = name == "images" and not mode.works_on_run
            hint = (
                f"give --config.dataset.root={shared.IMAGES.value}" if is_root else "leave it out"
            )
            raise InputError(f"--{name} has no meaning for --mode={_MODE.value}; {hint}")
    if call.workdir is not None and not mode.has_run:
        raise InputError(f"--workdir has no meaning for --mode={_MODE.value}; leave it out")
    if mode.works_on_run and call.features is None:
        call = call._replace(config=config)
        if "epoch" in mode.takes:  # the encoder is a checkpoint's
            check_overrides(call)
    is_first = True
    if mode.one_process and _DISTRIBUTED.value:
        raise InputError(f"--mode={_MODE.value} is for one process; leave --distributed out")
    if not mode.one_process:
        if _DISTRIBUTED.value:
            processes.join()
            signals.install()  # in place of JAX's own, which nobody asks
        is_first = jax.process_index() == 0
    logger.setLevel(logging.INFO if is_first else logging.WARNING)
    with storage.errors(call.run_folder):
        said = mode.run(call)
    if is_first:
        _print(said)


def _find_mode(name: str) -> Mode:
    mode = registry.find(MODES, name, "--mode")
    if not isinstance(mode, Mode):
        raise InputError(
            f"--mode={name} is a {type(mode).__name__}, and no pad_jax.modes.base.Mode"
        )
    return mode


def _parse_flags(argv: list[str]) -> list[str]:
    """Reads the flags; a mode's module is loaded first, since it may define some."""
    asked = any(re.fullmatch("--?(help|helpfull|helpshort)", argument) for argument in argv)
    if asked or arguments.given(argv, "mode") == "help":
        _print(usage.text(__doc__, MODES, [sys.argv[0]]))
        sys.exit(0)
    argv = arguments.with_flag_files(argv)
    mode = _find_mode(arguments.given(argv, "mode") or "train")
    usage.refuse_unknown(argv[1:], MODES)
    argv = _with_config_file(argv, mode)
    try:
        rest = flags.FLAGS(argv)
        config = _CONFIG.value  # a file that could not be loaded says so only when it is used
        if config is not None:
            config["seed"]
        configs.check_kind(config, config_flags.get_config_filename(flags.FLAGS["config"]))
        return rest
    except (ImportError, OSError) as error:
        given = next((a for a in argv if a.startswith("--config=")), "--config")
        reason = f" ({error})" if isinstance(error, ImportError) else ""
        raise InputError(
            f"{given} cannot be loaded{reason}; the package's own have names, such as digits, "
            "others are files"
        ) from None
    except flags.IllegalFlagValueError as error:
        raise _reason(error, argv, _illegal_value(str(error))) from None
    except (AttributeError, LookupError, SyntaxError, TypeError, ValueError, flags.Error) as error:
        raise _reason(error, argv, str(error)) from None


def _reason(error: BaseException, argv: list[str], message: str) -> InputError:
    """What an error says that others wrap on its way: of a field, or of a config file's own code.

    Args:
      error: the outermost one.
      argv: the arguments.
      message: what is said where neither is at fault.
    """
    chain = [error]
    while (inner := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(inner)
    file = (arguments.given(argv, "config") or "").partition(":")[0]
    meant = re.search(r'Did you mean "(\w+)"', " ".join(map(str, chain)))
    hint = f"; did you mean {meant[1]}?" if meant else ""
    for inner in reversed(chain):
        said = str(inner).replace("\\n", "\n")
        if isinstance(inner, InputError) and inner is not error:
            return inner
        if field := re.search(r'Key "(\w+)" does not exist', said):
            return InputError(f"the config has no field {field[1]}{hint}")
        if "has no attribute 'get_config'" in said:
            return InputError(f"--config={file} has no function get_config(); see docs/runs.md")
        frames = traceback.extract_tb(inner.__traceback__)
        lines = [f.lineno for f in frames if os.path.realpath(f.filename) == os.path.realpath(file)]
        if lines:
            what = f"{type(inner).__name__}: {first_line(inner)}"
            return InputError(f"--config={file} fails in line {lines[-1]}: {what}")
        if isinstance(inner, (AttributeError, KeyError)) and (field := re.search(r"\w+", said)):
            return InputError(f"the config has no field {field[0]}{hint}")
    return InputError(" ".join(message.split()))


def _with_config_file(argv: list[str], mode: Mode) -> list[str]:
    """The arguments with --config as a file: of a name, or where a run's own is to be taken."""
    given = arguments.given(argv, "config")
    default = mode.default_config
    if "features" in mode.takes and arguments.given(argv, "features"):
        for name in ("workdir", "epoch"):
            if arguments.given(argv, name) is not None:
                raise InputError(f"--features stands in place of a run; leave --{name} out")
        default = "cifar10"  # nothing is trained: its settings of groups count, the paper's
    config = default if given is None else given
    if config is not None:
        if config.startswith("~"):
            file = os.path.expanduser(config)
            return [argv[0], f"--config={file}", *arguments.without(argv[1:], "config")]
        if "/" in config or "\\" in config or config.partition(":")[0].endswith(".py"):
            return argv
        file = _without_drive(configs.shipped(config))
        return [argv[0], f"--config={file}", *arguments.without(argv[1:], "config")]
    workdir = arguments.given(argv, "workdir")
    if not mode.works_on_run and not (
        workdir and mode.goes_on and folder.has_begun(expanded(workdir))
    ):
        raise InputError(
            "--config is missing; give one, such as --config=digits, or --config=folder "
            "--config.dataset.root=DIR for images of yours"
        )
    if not workdir:
        if arguments.given(argv, "features") is not None and "features" not in mode.takes:
            raise InputError("--features has no meaning for this mode; give --workdir of a run")
        other = "--features" if "features" in mode.takes else "a --config"
        raise InputError(f"--workdir is missing; give the folder of a run, or {other}")
    run_folder = local(workdir, "--workdir")
    folder.read_config(run_folder)  # what is wrong with it is said here
    file = _without_drive(pathlib.Path(recorded.__file__))
    return [argv[0], f"--config={file}:{run_folder}", *argv[1:]]


def _without_drive(path: pathlib.Path) -> str:
    """A path for --config, which ends at the first colon: on Windows seen from here."""
    return os.path.relpath(path) if ":" in str(path) else str(path)


def _illegal_value(message: str) -> str:
    """``message``, "flag --name=value: reason", with what a field of the config takes instead."""
    flag, _, reason = message.partition(": ")
    name = flag.removeprefix("flag --").partition("=")[0]
    if name.startswith("config."):
        kind = flags.FLAGS[name].flag_type()
        reason = f"use {_VALUES.get(kind, f'a flag for each field, --{name}.FIELD=VALUE')}"
    return f"{flag}: {reason}"


class _BesideBars(logging.StreamHandler):
    """Writes lines where no bar of progress is drawn at the time."""

    def emit(self, record: logging.LogRecord) -> None:
        with tqdm.external_write_mode(self.stream):
            super().emit(record)


def _log_to_stderr() -> logging.Logger:
    """Shows what this project logs; of the libraries only warnings.

    Pillow's are left out: they say what is odd in a file, but not in which. What cannot be decoded
    is named all the same.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    absl_logging.set_verbosity(absl_logging.WARNING)
    handler = _BesideBars()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("pad_jax")
    logger.addHandler(handler)
    logger.propagate = False
    return logger


def run() -> None:
    """Runs ``main``; bad input ends in one line on standard error and exit status 2."""
    signals.install()
    signals.ready()
    if hasattr(sys.stdout, "reconfigure"):  # names of files need not be UTF-8
        sys.stdout.reconfigure(errors="surrogateescape")
    try:
        try:
            sys.path.append(_here())  # last: where a user's own parts may be, as with python -m
            with signals.unwrapped():
                app.run(main, flags_parser=_parse_flags)
        finally:
            if sys.stdout is not None:  # as where it was closed
                sys.stdout.flush()
    except BrokenPipeError:  # who read what is printed, such as head, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except InputError as error:
        _refuse(error)
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        if not isinstance(error, MemoryError) and "RESOURCE_EXHAUSTED" not in str(error):
            raise
        _refuse(f"the memory does not suffice ({first_line(error)}); {_NEEDS_LESS}")
    except signals.Stopped as stopped:
        signals.leave(stopped.signum, stopped.said)
    except KeyboardInterrupt:  # by code of the user's
        signals.leave(signal.SIGINT)


def _here() -> str:
    try:
        return os.getcwd()
    except OSError as error:
        raise InputError(f"the folder that this was called in is gone ({error.strerror})") from None


def _print(said: str) -> None:
    try:
        print(said, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python tries again
        raise InputError(f"what is printed cannot be written ({error.strerror})") from None


def _refuse(said: object) -> NoReturn:
    print(f"pad_jax: {said}", file=sys.stderr, flush=True)
    if jax.distributed.is_initialized():
        os._exit(2)  # else JAX waits for the others, who may wait for this one
    storage.leave(2)


if __name__ == "__main__":
    run()
