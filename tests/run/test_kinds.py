"""What is said of the kinds of images that stand apart."""

import numpy as np
import pytest

from pad_jax.graph.clusters import Clusters, Levels
from pad_jax.run import kinds


def clusters(labels, separation):
    levels = Levels(np.ones(1), np.ones(1, np.float32), np.ones(1))
    return Clusters(np.array(labels), separation, levels)


@pytest.mark.parametrize(
    ("separation", "number", "coverage", "words"),
    [
        (0.5, 2, 0.8, "About 2 kinds of images stand apart; 80 % of the images are surely of one"),
        (0.49, 0, 0, "No kinds of images stand apart; the small groups are what there is"),
    ],
)
def test_figures_and_a_sentence(separation, number, coverage, words):
    figures = kinds.figures(clusters([0, 0, 1, 1, -1], separation))
    assert figures == {"eval/clusters": number, "eval/clusters_coverage": coverage}
    assert kinds.sentence({"epoch": 3} | figures).startswith(words)


def test_nothing_is_said_without_a_graph():
    assert kinds.figures(None) == {}
    assert kinds.sentence({"epoch": 3, "train/loss": 1.0}) == ""


def test_agreement_counts_images_whose_class_is_known():
    cluster = np.array([0, 0, 0, 1, 1, 2])
    labels = np.array([10**12, 10**12, 7, 7, 7, -1])
    assert kinds.agreement(cluster, labels) == {"eval/clusters_acc": 4 / 5}
    assert kinds.agreement(cluster, np.full(6, -1)) == {}
    assert kinds.agreement(np.full(6, -1), labels) == {}
