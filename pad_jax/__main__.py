"""``python -m pad_jax``, and ``pad-jax``: the command line."""

from pad_jax import signals


def run() -> None:
    """Runs it, also where it is interrupted before it is loaded."""
    signals.install()
    from pad_jax import main  # which takes its time

    main.run()


if __name__ == "__main__":
    run()
