"""What an extractor is made of, and what it must return."""

import numpy as np
import pytest

from pad_jax.extractors import Extractor, ExtractorSpec, create
from tests.support.grid_extractor import SPEC


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda x: x, r"returned uint8 \[3, 4, 4, 3\]; change it to return finite .*\[3, D\] for"),
        (lambda x: x[:2].mean((1, 2)), r"returned float64 \[2, 3\]"),
        (lambda x: x.mean(), r"returned float64 \[\]"),
        (lambda x: np.zeros((3, 0)), r"returned float64 \[3, 0\]"),
        (lambda x: np.full((3, 2), "a"), r"returned <U1 \[3, 2\]"),
        (lambda x: [[1.0], [2.0, 3.0], [4.0]], "returned list, which is no array"),
        (lambda x: None, r"returned object \[\]"),
        (lambda x: np.full((3, 2), np.nan), "returned nan or infinity"),
        (lambda x: np.full((3, 2), 1e39), "returned nan or infinity"),
    ],
)
def test_what_an_extractor_must_return(returned, message, refused):
    extractor = Extractor("mine:f", returned, 4)
    refused(f"--extractor=mine:f {message}", extractor, np.zeros((3, 4, 4, 3), np.uint8))


def test_what_an_extractor_imports_may_be_missing(refused):
    def function(images):
        import there_is_no_such_module  # noqa: F401

    extractor = Extractor("mine:f", function, 4)
    message = r"--extractor=mine:f cannot run here \(No module named 'there_is_no_such_module'\); "
    refused(message, extractor, np.zeros((1, 4, 4, 3), np.uint8))


def test_features_have_one_length(refused):
    extractor = Extractor(
        "mine:f", lambda x: x[0, 0, 0, :].mean() + np.zeros((1, x[0, 0, 0, 0])), 4
    )
    image = np.full((1, 4, 4, 3), 5, np.uint8)
    assert extractor(image).shape == (1, 5)
    refused("returned features of 6 numbers, after some of 5", extractor, image + np.uint8(1))


def test_an_extractor_may_write_into_its_images():
    def dark(images):
        images[:] = 0
        return images.mean((1, 2))

    image = np.full((1, 4, 4, 3), 5, np.uint8)
    Extractor("mine:dark", dark, 4)(image)
    assert image.min() == 5


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (ExtractorSpec("resnet18"), "--extractor='resnet18' cannot be used; give timm:MODEL, such"),
        (ExtractorSpec("timm:"), "--extractor=timm: names no model; give timm:MODEL"),
        (ExtractorSpec("no_such:f"), "--extractor='no_such:f' cannot be imported"),
        (ExtractorSpec("math:pi"), "--extractor=math:pi is a float; give a function"),
        (ExtractorSpec(SPEC.name, "w.pth"), "--weights=w.pth is for timm:MODEL; .*leave --weights"),
    ],
)
def test_extractors_that_cannot_be_made(spec, message, start, tmp_path, refused):
    refused(message, create, spec)
    refused(message, start, spec)
    assert [path.name for path in tmp_path.iterdir()] == ["images"]
