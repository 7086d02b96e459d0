"""PAD over the features of a pretrained network."""

from pad_jax.config import default


def get_config():
    config = default()
    config.dataset.name = "features"
    config.dataset.test_split = ""
    config.model.name = "linear"
    config.augmentation.name = "perturbations"
    config.grouping.features = "embed"
    config.batch_size = 256
    config.optimizer.learning_rate = 0.015
    config.num_epochs = 40
    config.eval.features = ("embedding",)
    config.eval.probe = ()
    return config
