"""``python -m pad_jax``, and ``pad-jax``: the command line."""

import sys


def run() -> None:
    """Runs it, also where it is interrupted before it is loaded."""
    try:
        from pad_jax import main  # which takes its time
    except (KeyboardInterrupt, ImportError) as error:
        # What is written in C wraps it.
        if not isinstance(error.__cause__ or error, KeyboardInterrupt):
            raise
        print("pad_jax: stopped", file=sys.stderr)
        sys.exit(130)
    main.run()


if __name__ == "__main__":
    run()
