"""RotNet: which way up is the image? (Gidaris, Singh and Komodakis, ICLR 2018)."""

import jax.numpy as jnp

from pad_jax.data.preparation import PIXELS
from pad_jax.objectives import ObjectiveSettings, heads
from pad_jax.objectives.base import Objective
from pad_jax.settings import Settings, refuse

NUM_ROTATIONS = 4


class Rotation(Objective):
    """Tells by how many quarter turns an image was rotated, with a linear head on "fc".

    As published, a batch holds all four rotations of each sample: of one augmented view, so that
    they differ in nothing else. The encoder sees 4 B images a step, twice as many as PAD's.
    """

    takes = PIXELS
    metrics = ("loss", "rotation_accuracy")
    nothing = "This objective needs no groups: it tells how images were rotated."
    panels = heads.panels("rotation_accuracy", "rotations")

    def __init__(self, settings: Settings, platform: str | None = None):
        super().__init__(settings, platform)
        self._objective_settings = settings[ObjectiveSettings]

    def check_images(self, num_images, image_shape):
        height, width, _ = image_shape
        if height != width:
            refuse(
                "objective",
                self._objective_settings.objective,
                f"images are {height}x{width}; set dataset.image_size, which makes them square",
            )

    def inputs(self, views):
        (view,) = views
        # [4 B, H, W, C]: all samples upright, then all turned by 90 degrees counterclockwise, ...
        return jnp.concatenate([jnp.rot90(view, turns, (1, 2)) for turns in range(NUM_ROTATIONS)])

    def loss(self, params, features, state, index, epoch):
        turns = jnp.repeat(jnp.arange(NUM_ROTATIONS), len(index))
        loss, accuracy = heads.cross_entropy(params["head"], features, turns)
        return loss, {"loss": loss, "rotation_accuracy": accuracy}

    def init_head(self, num_features):
        return {"head": heads.init(num_features, NUM_ROTATIONS, self._run_settings.seed)}
