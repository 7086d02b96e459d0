"""Whether what a run learns may be worth nothing, told without labels."""

import logging
from collections.abc import Mapping

import jax

from pad_jax.graph.trust import SOUND

_log = logging.getLogger(__name__)

_FROM_EPOCH = 3  # what a random encoder, and one trained for an epoch, finds is a beginning
_IN_A_ROW = 3  # epochs after which groups that are none, or one, are no accident
_ALIKE = 0.999  # mean similarity of two samples
_COPIED = 0.1  # share of the graph's edges
_MOST = 0.9  # share of the samples


def sentence(row: Mapping) -> str:
    """What is to be said of a run in plain words, by a row of ``metrics.jsonl``.

    The last row has the figures of the final encoder. "" where there is no doubt, or nothing known.
    """
    return " ".join(_doubts(row).values())


def _doubts(row: Mapping) -> dict[str, str]:
    """Sentences by what they are about; the first ones explain those that they keep from it."""
    late = row["epoch"] >= _FROM_EPOCH
    similarity = row.get("features/similarity", 0.0)
    if late and similarity >= _ALIKE:
        return {
            "similarity": "The encoder hardly tells images apart: the mean similarity of two is "
            f"{similarity:.5f}. Lower optimizer.learning_rate, unless they are of one thing."
        }
    if said := _of_copies(row) | (_of_groups(row) if late else {}):
        return said
    support = row.get("eval/support", row.get("graph/support", SOUND) if late else SOUND)
    if support < SOUND:
        return {
            "support": "Many groups may be wrong, unless nearly all images are of one kind: the "
            f"graph supports them with {support:.2f}, less than {SOUND}."
        }
    return {}


def _of_copies(row: Mapping) -> dict[str, str]:
    copies = row.get("graph/copies", 0.0)
    if copies < _COPIED:
        return {}
    return {
        "copies": f"{100 * copies:.0f} % of the graph's edges join images that are the same to the "
        "encoder, and groups are of these. --mode=duplicates lists copies; leave them out."
    }


def _of_groups(row: Mapping) -> dict[str, str]:
    """What is said of strongly connected subgraphs that are none, or nearly all in one."""
    count = row.get("scs/count")
    if count == 0:
        return {
            "no groups": "No groups are found: every image is learnt as a class of its own. Use "
            "more images, or a larger grouping.num_neighbors."
        }
    # The number of images is size by size what is in groups, by its share.
    share = count and row["scs/max_size"] * row["scs/coverage"] / (count * row["scs/mean_size"])
    if count and share >= _MOST:
        return {
            "one group": f"{100 * share:.0f} % of the images are in one group, which tells nothing "
            "of them. Set grouping.max_size, 10 by default, or lower it."
        }
    return {}


class Watch:
    """Warns when a run becomes doubtful: once of each doubt, and again after epochs without it."""

    def __init__(self) -> None:
        self._epochs: dict[str, int] = {}  # in a row, of each doubt

    def look(self, row: Mapping) -> None:
        """Takes notice of an epoch's row; of several processes the first one speaks."""
        # Of the groups that the row is of: what is found after the last epoch is said at the end.
        said = _doubts({name: value for name, value in row.items() if name != "eval/support"})
        self._epochs = {about: self._epochs.get(about, 0) + 1 for about in said}
        for about, text in said.items():
            due = _IN_A_ROW if about in ("no groups", "one group") else 1
            if self._epochs[about] == due and jax.process_index() == 0:
                _log.warning("Epoch %d: %s", row["epoch"], text[0].lower() + text[1:])
