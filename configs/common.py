"""The paper's single setting, which every config of this folder starts from.

Huang, Dong, Gong, Zhu: Unsupervised Deep Learning via Affinity Diffusion. AAAI 2020.
What the paper does not give is marked as our choice, with its origin.
"""

from ml_collections import ConfigDict, FieldReference


def optional(value):
    """A field that may also be None, from the command line too."""
    return FieldReference(value, field_type=object)


def get_config() -> ConfigDict:
    config = ConfigDict()
    config.seed = 0  # of the encoder, the augmentation, the batches and the search
    config.num_epochs = 200
    config.batch_size = 128  # our choice; over all devices together

    config.objective = "pad"  # or a baseline of Table 1: rotation (RotNet), clusters (DeepCluster)

    config.dataset = ConfigDict()
    config.dataset.name = "digits"  # digits, npz, folder, or a name of TensorFlow Datasets
    config.dataset.root = ""  # npz: the file; folder: the folder; TFDS: its data_dir
    config.dataset.train_split = "train"  # several with a +: "train+test"
    config.dataset.test_split = "test"  # "" for none: kNN then leaves one training image out
    config.dataset.max_images = optional(None)  # this many training images at random; None: all
    config.dataset.image_size = optional(None)  # px; resize and crop to a square; None: as they are
    config.dataset.channels = optional(None)  # 1 grey, 3 RGB; None: as the first image is
    config.dataset.strict = False  # stop at an image that cannot be decoded, instead of skipping it
    config.dataset.max_resident_gib = 4.0  # larger sets are streamed, not kept on the devices

    config.augmentation = ConfigDict()
    config.augmentation.crop_scale = (0.2, 1.0)  # share of the area that a crop keeps
    config.augmentation.jitter = (0.4, 0.4, 0.4, 0.4)  # brightness, contrast, saturation, hue
    config.augmentation.grayscale = 0.2  # probability
    config.augmentation.flip = True  # left to right, with probability 1/2; not for digits

    config.model = ConfigDict()
    config.model.name = "alexnet"  # alexnet, resnet18, resnet50, tiny
    config.model.stem = "small"  # small for 28 to 32 px, standard for 224 px
    config.model.embedding_dim = 128
    config.model.dtype = "float32"  # of the activations; bfloat16 on an accelerator

    config.memory = ConfigDict()
    config.memory.rate = 0.5  # eta of Eq 6
    config.memory.init = "embed"  # the random encoder's embeddings; random: random unit rows

    config.grouping = ConfigDict()
    # scs; neighbors (Table 3, with num_neighbors 10); and, with loss.hpe none, anchor_neighbors
    # (AND, Huang et al. 2019) and singleton (instance discrimination, Wu et al. 2018)
    config.grouping.kind = "scs"
    config.grouping.features = "memory"  # embed: Eq 1 to the letter, one more pass an epoch
    config.grouping.num_neighbors = 5  # k of Eq 1
    config.grouping.max_size = optional(10)  # s, the scale threshold; None: no limit
    # Ours: s grows to this over the run, by the same factor every epoch; None: it stays.
    config.grouping.final_max_size = optional(None)
    config.grouping.edge_share = 1.0  # ours: less keeps only the most similar edges of the graph
    # Ours: from this share of the run on, images in no group are learnt by HPE alone.
    config.grouping.singletons_until = 1.0
    config.grouping.cyclic = True  # False: without the cyclic constraint (Table 4)
    config.grouping.rounds = 5  # R of anchor_neighbors: r / R of the samples are anchors in round r

    config.clusters = ConfigDict()  # of the objective clusters alone
    config.clusters.count = 100  # our choice: ten for each of ten classes; 10,000 for ImageNet
    config.clusters.components = 256  # principal ones, at most, that k-means sees; tiny: 32

    config.loss = ConfigDict()
    config.loss.temperature = 0.1  # tau of Eq 2; from AND (Huang et al., ICML 2019)
    # Ours: from a share of the run on, here its last quarter, another temperature; None: it stays.
    config.loss.final_temperature = optional(None)
    config.loss.final_temperature_from = 0.75
    config.loss.hpe = "kl"  # hard positive enhancement: kl (Eq 4), cosine (Table 5), none
    config.loss.hpe_weight = 0.8  # lambda of Eq 5
    config.loss.stop_gradient = False  # True: no gradient through the hard positive

    config.optimizer = ConfigDict()
    config.optimizer.learning_rate = 0.03  # for batch 128; others scale it by batch_size / 128
    config.optimizer.momentum = 0.9  # Nesterov's
    config.optimizer.weight_decay = 5e-4  # from AND
    config.optimizer.decay_at = (0.4, 0.6, 0.8)  # shares of the run: epochs 80, 120, 160 of 200
    config.optimizer.decay_factor = 0.1

    config.checkpoint = ConfigDict()
    config.checkpoint.every_epochs = 1
    config.checkpoint.keep = 2  # the newest so many

    config.eval = ConfigDict()
    config.eval.every_epochs = 10  # the report too; 0: only after the last epoch
    config.eval.batch_size = 256  # of embedding; does not change results
    config.eval.features = ("embedding", "fc")  # what kNN looks at; k-means takes the embedding
    config.eval.probe = ("conv5",)  # what linear classifiers look at, at the end; () for none
    config.eval.max_feature_gib = 4.0  # longer kinds of features are left out (fc, conv5)
    config.eval.pixels = True  # evaluate raw pixels beside the encoder, at the end
    config.eval.knn_neighbors = 200  # Wu et al., CVPR 2018
    config.eval.knn_temperature = 0.1
    config.eval.kmeans_runs = 10  # at the end; 1 while training
    config.eval.kmeans_inits = 3  # starts of a run, of which the tightest partition counts
    return config
