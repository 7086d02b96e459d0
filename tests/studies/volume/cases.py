"""What the comparisons yield: one case each, and what is wrong with it."""

from typing import NamedTuple


class Case(NamedTuple):
    """A comparison that was made.

    Attributes:
      seed: of all cases of a command.
      number: of this one.
      what: its sizes and options.
      wrong: what differs; empty where nothing does.
    """

    seed: int
    number: int
    what: str
    wrong: str
