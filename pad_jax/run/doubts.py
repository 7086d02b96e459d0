"""Whether the groups that a run learns may be wrong, told without labels."""

import logging
from collections.abc import Mapping

import jax

from pad_jax.graph.trust import SOUND

_log = logging.getLogger(__name__)

_FROM_EPOCH = 3  # groups of a random encoder, and of one trained for an epoch, are a beginning


def sentence(row: Mapping) -> str:
    """What is to be said of a run's groups in plain words, by a row of ``metrics.jsonl``.

    The last row has the groups of the final encoder. "" where there is no doubt, or nothing known.
    """
    early = row["epoch"] < _FROM_EPOCH
    support = row.get("eval/support", SOUND if early else row.get("graph/support", SOUND))
    if support >= SOUND:
        return ""
    return (
        f"Many groups may be wrong, unless nearly all images are of one kind: the graph supports "
        f"them with {support:.2f}, less than {SOUND}."
    )


class Watch:
    """Warns when groups become doubtful: once, and again only after sound ones in between."""

    def __init__(self) -> None:
        self._in_doubt = False

    def look(self, row: Mapping) -> None:
        """Takes notice of an epoch's row; of several processes the first one speaks."""
        said = sentence(row)
        if said and not self._in_doubt and jax.process_index() == 0:
            _log.warning("Epoch %d: %s", row["epoch"], said[0].lower() + said[1:])
        self._in_doubt = bool(said)
