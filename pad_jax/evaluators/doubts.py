"""Whether the groups that a run learns may be wrong, told without labels."""

import logging
from collections.abc import Mapping

from pad_jax.graph.trust import SOUND

_log = logging.getLogger(__name__)

_FROM_EPOCH = 3  # groups of a random encoder, and of one trained for an epoch, are a beginning
_ADVICE = (
    "Fewer and smaller groups are surer: --config.grouping.edge_share=auto "
    "--config.grouping.max_size=auto, in another --workdir."
)


def sentence(row: Mapping) -> str:
    """What is to be said of an epoch's groups in plain words, by its row of ``metrics.jsonl``.

    "" where there is no doubt, or nothing known.
    """
    support = row.get("graph/support", SOUND)
    if support >= SOUND or row["epoch"] < _FROM_EPOCH:
        return ""
    return (
        f"Many groups may be wrong: the graph supports them with {support:.2f}, and sound ones "
        f"have {SOUND} or more."
    )


class Watch:
    """Warns when groups become doubtful: once, and again only after sound ones in between."""

    def __init__(self) -> None:
        self._in_doubt = False

    def look(self, row: Mapping) -> None:
        """Takes notice of an epoch's row."""
        said = sentence(row)
        if said and not self._in_doubt:
            _log.warning("Epoch %d: %s %s", row["epoch"], said[0].lower() + said[1:], _ADVICE)
        self._in_doubt = bool(said)
