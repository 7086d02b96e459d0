"""What figures of an evaluation cannot mean, told by the numbers of images in the classes."""

import numpy as np

_MOST = 0.95  # share of the images, of one class
_ALONE = 0.1  # share of the images
_FEW = 3  # images of a class, on average


def sentence(train: np.ndarray, test: np.ndarray | None = None) -> str:
    """What is to be said beside figures that rest on these labels, in one line; "" for nothing.

    Args:
      train: integers [N], the classes of the training images, -1 where one is not known.
      test: integers [M], those of the test images, or None without any.
    """
    train = train[train >= 0]
    test = None if test is None or not (test >= 0).any() else test[test >= 0]
    if not len(train):
        return ""
    classes, sizes = np.unique(train, return_counts=True)
    said = []
    if len(classes) == 1:
        said.append("All labelled training images are of one class: accuracies of 1 mean nothing.")
    elif sizes.max() >= _MOST * len(train):
        share = sizes.max() / len(train)
        said.append(
            f"{100 * share:.1f} % of the labelled images are of one class: who guesses it each "
            f"time has an accuracy and an ACC of {share:.3f}."
        )
    alone = int((sizes == 1).sum())
    if test is None and alone >= max(_ALONE * len(train), 1) and len(train) > 1:
        said.append(
            f"{alone:,} of {len(train):,} labelled images are alone in their class: the others "
            "cannot tell it, so kNN says little."
        )
    if len(classes) > 1 and len(train) < _FEW * len(classes):
        said.append(
            f"{len(train):,} labelled images are of {len(classes):,} classes: with nearly as many "
            "clusters as images k-means' ACC and NMI are high by themselves."
        )
    if test is not None and (unseen := int((~np.isin(test, classes)).sum())):
        said.append(
            f"{unseen:,} of {len(test):,} labelled test images are of classes without a training "
            "image: no classifier can be right on them."
        )
    return " ".join(said)
