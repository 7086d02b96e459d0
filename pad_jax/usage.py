"""What a command line can be: the text of --help, and what an unknown flag may have meant."""

import difflib
import importlib
import sys
import textwrap
from collections.abc import Mapping, Sequence

from absl import flags

from pad_jax import config as configs
from pad_jax import registry
from pad_jax.errors import InputError

_WIDTH = 80


def text(about: str, modes: Mapping[str, str], own_modules: Sequence[str]) -> str:
    """What modes, flags and fields of the config there are.

    Args:
      about: how the command is called.
      modes: where each is, by name.
      own_modules: that define flags, besides those of the package.
    """
    for name in modes:
        registry.find(modes, name, "--mode")  # which defines its flags
    modules = {flags.FLAGS.find_module_defining_flag(flag) for flag in flags.FLAGS}
    shown = sorted(m for m in modules if m and (m.startswith("pad_jax") or m in own_modules))
    return "\n\n".join(
        [
            about,
            "Modes:\n" + "\n".join(_mode(location) for location in modes.values()),
            *(f"{_heading(m)}:{flags.FLAGS.module_help(m).partition(f'{m}:')[2]}" for m in shown),
            "Fields of the config:\n" + "\n".join(_fields()),
        ]
    )


def _heading(module: str) -> str:
    """Of the flags that a module defines."""
    package, _, name = module.rpartition(".")
    if package == "pad_jax.modes":
        return "Flags of several modes" if name == "flags" else f"Flags of --mode={name}"
    return "Flags" if module in ("pad_jax.main", sys.argv[0]) else f"Flags of {module}"


def _mode(location: str) -> str:
    """The first line of the mode's module, which begins with --mode=NAME."""
    module = importlib.import_module(location.partition(":")[0])
    return f"  {(module.__doc__ or location).splitlines()[0]}"


def _fields() -> list[str]:
    lines = []
    for declared in configs.declared():
        lines.append(f"  --config.{declared.name}={_literal(declared.default)}")
        lines += textwrap.wrap(declared.meaning, _WIDTH, initial_indent=" " * 4,
                               subsequent_indent=" " * 4)  # fmt: skip
    return lines


def _literal(value: object) -> str:
    return f'"{value}"' if isinstance(value, (str, tuple)) else str(value)


def refuse_unknown(argv: Sequence[str], modes: Mapping[str, str]) -> None:
    """Raises InputError for a flag that there is not, with the one that may have been meant.

    Args:
      argv: the arguments, after the program's name.
      modes: where each is, by name; only the chosen one has been loaded.
    """
    if argv and argv[0] in modes:
        raise InputError(f"{argv[0]!r} is no flag; write --mode={argv[0]}")
    rest = iter(argv)
    for argument in rest:
        if argument == "--":
            return
        if not argument.startswith("-") or argument == "-":
            continue
        name, is_given, value = argument.lstrip("-").partition("=")
        is_field = name.startswith("config.")
        if is_field or name in ("config", "flagfile", "undefok"):
            known = True
        else:
            known = name in flags.FLAGS or name.removeprefix("no") in flags.FLAGS
        if not known:
            raise InputError(f"--{name} is no flag{_of_mode(name, modes) or _meant(name, value)}")
        if not is_given and (is_field or (name in flags.FLAGS and not flags.FLAGS[name].boolean)):
            next(rest, None)  # its value


def _of_mode(name: str, modes: Mapping[str, str]) -> str:
    """Which other mode a flag belongs to, in words; "" for none."""
    for mode, location in modes.items():
        registry.find(modes, mode, "--mode")  # which defines its flags
        if flags.FLAGS.find_module_defining_flag(name) == location.partition(":")[0]:
            return f" of this mode; it is one of --mode={mode}"
    return ""


def _meant(name: str, value: str) -> str:
    fields = [declared.name for declared in configs.declared()]
    short = {field: field.rpartition(".")[2] for field in fields}
    own = [f for f in fields if name in (f, short[f], short[f].removeprefix("num_"))]
    if own:
        given = f"={value}" if value else "=VALUE"
        return "; it is a field of the config: " + " or ".join(
            f"--config.{field}{given}" for field in own
        )
    known = {word: f"config.{field}" for field, word in short.items()}
    known |= {flag: flag for flag in flags.FLAGS}
    near = difflib.get_close_matches(name, known, 1)
    return f"; did you mean --{known[near[0]]}?" if near else "; --help shows all"
