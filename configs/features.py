"""PAD over the features of a pretrained network: for photographs.

Huang, Dong, Gong, Zhu: Unsupervised Deep Learning via Affinity Diffusion. AAAI 2020.

Command:   python -m pad_jax.main --config=configs/features.py --config.dataset.root=FILE.npz
           FILE is .npz, .npy or Parquet; --mode=features makes one of a folder of images.
Cost:      10,000 x 1,280 take 37 s on 2 CPU cores, 65 s where labels are there to evaluate with.
           An epoch grows with the square of the number of images.
Expected:  docs/studies/features.md: three sets of photographs, with what it is compared with.

Chosen on features of flowers and of 6,000 images of CIFAR-10, by k-means ACC and kNN, so with
labels; those of other sets were not looked at. More than 20 epochs brought nothing at 6,000 images,
and did harm at 600. Fewer images than a batch need a smaller one.
"""

from pad_jax.config import default


def get_config():
    config = default()
    config.num_epochs = 20
    config.batch_size = 256
    config.dataset.name = "features"
    config.dataset.test_split = ""
    config.model.name = "linear"
    config.augmentation.name = "perturbations"
    config.augmentation.dropout = 0.5
    # A dense graph: of features that tell classes apart, the twentieth neighbour still does.
    config.grouping.features = "embed"
    config.grouping.num_neighbors = 20
    config.grouping.singletons_until = 0.0
    config.loss.hpe_weight = 0.4
    config.optimizer.learning_rate = 0.015
    config.optimizer.decay_at = (0.8, 0.9)
    config.eval.every_epochs = 0
    config.eval.features = ("embedding",)
    config.eval.probe = ()
    config.eval.kmeans_runs = 3  # of the features, too, which are long
    config.eval.kmeans_inits = 10
    return config
