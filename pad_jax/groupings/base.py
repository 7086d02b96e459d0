"""What PAD asks of a kind of groups."""

from typing import ClassVar

import numpy as np

from pad_jax.graph.discovery import Discovery, Evidence
from pad_jax.graph.groups import Groups, singletons
from pad_jax.settings import Settings


class Grouping:
    """Which samples an epoch's loss takes for one class. All methods are pure, on the host.

    A kind's settings dataclasses stand in ``SETTINGS``.

    Attributes:
      prefix: of the metrics that describe the groups: "groups/purity".
      noun, heading: what the report calls a group, and the groups above them.
      nothing: what the report says where there is no group to show.
      members: how many samples C(i) has room for where groups overlap; None where they are a
        partition.
      may_leave_out_singletons: whether ``grouping.singletons_until`` means something.
      needs_graph: whether groups are found in the graph; where not, a run makes one after its last
        epoch alone, to say what stands apart in it.
    """

    SETTINGS: ClassVar[tuple[type, ...]] = ()
    prefix: ClassVar[str] = "groups"
    noun: ClassVar[str] = "group"
    heading: ClassVar[str] = "Groups"
    nothing: ClassVar[str] = "No group was found: all images are singletons."
    members: int | None = None
    may_leave_out_singletons: ClassVar[bool] = False
    needs_graph: ClassVar[bool] = True

    def __init__(self, settings: Settings):
        pass

    def before_training(self, num_samples: int) -> Groups:
        """Singletons in the form that these groups have, arrays and shapes alike."""
        groups = singletons(num_samples)
        if self.members is None:
            return groups
        members = np.full((num_samples, self.members), -1, np.int32)
        members[:, 0] = groups.group_id
        return groups._replace(members=members)

    def edges(self, evidence: Evidence) -> np.ndarray:
        """The edges that are searched: int32 [N, k], a loop in place of each that is left out."""
        return evidence.graph.indices

    def find(self, evidence: Evidence, edges: np.ndarray) -> Groups:
        """The groups of an epoch.

        Args:
          evidence: of the epoch; hard positives are chosen by its features.
          edges: int32 [N, k], what ``edges`` says of it.
        """
        raise NotImplementedError

    def learnt(self, found: Discovery) -> Groups:
        """The groups as the epoch's loss takes them."""
        return found.groups
