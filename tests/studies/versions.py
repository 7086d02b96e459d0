"""Do the lowest and the highest versions that pyproject.toml allows run the tests?

    python -m tests.studies.versions lowest --python=python3.11
    python -m tests.studies.versions highest --python=python3.13

makes a virtual environment with these versions and runs the tests of the core in it, or those named
after ``--tests``. ``lowest`` is the lowest of what pyproject.toml names, with the newest of what
that needs in turn. JAX from 0.11 on needs Python 3.12, so the highest versions want a newer Python.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib

_ROOT = pathlib.Path(__file__).parents[2]
_CORE = ("tests/graph", "tests/objectives", "tests/run", "tests/test_train.py")
_RESOLUTIONS = {"lowest": "lowest-direct", "highest": "highest"}


def install(folder: pathlib.Path, interpreter: str, resolution: str) -> pathlib.Path:
    """A virtual environment with this clone in place, and what its tests need.

    Args:
      folder: where it is made, or taken as it is where it has been before.
      interpreter: the Python to make it with.
      resolution: which of the allowed versions, in the words of uv.

    Returns:
      Its Python.
    """
    python = folder / "bin" / "python"
    if not python.exists():
        _run(interpreter, "-m", "venv", folder)
    _run(python, "-m", "pip", "install", "--quiet", "uv")
    _run(
        *(python, "-m", "uv", "pip", "install", "--quiet", "--python", python),
        *("--resolution", resolution, "--upgrade", "--editable", f"{_ROOT}[test]"),
    )
    return python


def direct_dependencies() -> list[str]:
    """The names of the packages that pyproject.toml requires."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    required = project["dependencies"] + project["optional-dependencies"]["test"]
    return [re.match(r"[\w.-]+", requirement)[0] for requirement in required]


def versions(python: pathlib.Path) -> str:
    """The versions of these packages in an environment, as one line."""
    program = (
        "import sys; from importlib.metadata import version; "
        "print('Python', sys.version.split()[0] + ',', ', '.join("
        "f'{name} {version(name)}' for name in sys.argv[1:]))"
    )
    names = [*direct_dependencies(), "jaxlib"]
    return subprocess.run(
        [python, "-c", program, *names], check=True, capture_output=True, text=True
    ).stdout.strip()


def _run(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("which", choices=_RESOLUTIONS)
    parser.add_argument("--python", default=sys.executable, help="the interpreter")
    parser.add_argument("--folder", type=pathlib.Path, help="of the environment, to be kept")
    parser.add_argument("--tests", nargs="+", default=_CORE, help="what pytest is given")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (given.folder or pathlib.Path(temporary)).absolute()
        python = install(folder, given.python, _RESOLUTIONS[given.which])
        print(versions(python), flush=True)
        return subprocess.run(
            [python, "-m", "pytest", "-q", "-n", "auto", *given.tests], cwd=_ROOT
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
