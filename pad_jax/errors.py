"""The one exception that stands for bad input rather than for a defect, and what it quotes."""


class InputError(ValueError):
    """The user's config, flags or files cannot be used as they are.

    The message is one line that names the field or path and says what to change;
    ``main.py`` prints it and exits with status 2.
    """


def first_line(error: Exception) -> str:
    """What a library's error says, of which it may say much; "" if nothing."""
    return next(iter(str(error).strip().splitlines()), "")
