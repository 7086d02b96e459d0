"""Models of timm: what they see and return, their weights, and what is refused."""

import sys

import numpy as np
import pytest

from pad_jax.errors import InputError
from pad_jax.extractors import ExtractorSpec, create

MODEL, SIZE = "test_resnet", 40


@pytest.fixture(scope="module")
def timm():
    pytest.importorskip("torch")
    return pytest.importorskip("timm")


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (5, SIZE, SIZE, 3), np.uint8)


@pytest.fixture
def trained(timm):
    """A model whose weights and statistics are not those that it is made with."""
    import torch

    torch.manual_seed(1)
    model = timm.create_model(MODEL, num_classes=7)
    with torch.inference_mode():
        model.train()(torch.randn(8, 3, SIZE, SIZE) * 3)
    return model.eval()


def refused(message, spec):
    with pytest.raises(InputError, match=message) as caught:
        create(spec)
    assert "\n" not in str(caught.value)


def test_without_timm_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    refused(
        r"^--extractor=timm:resnet18: needs timm and torch; pip install 'pad-jax\[features\]'$",
        ExtractorSpec("timm:resnet18"),
    )


@pytest.mark.parametrize("kind", ["pth", "safetensors"])
def test_features_of_a_checkpoint(timm, trained, images, tmp_path, kind):
    """Those before the classifier, of normalised pixels; the checkpoint's own one is left out."""
    import safetensors.torch
    import torch

    file = tmp_path / f"weights.{kind}"
    if kind == "pth":
        torch.save({"state_dict": trained.state_dict()}, file)
    else:
        safetensors.torch.save_file(trained.state_dict(), file)
    features = create(ExtractorSpec(f"timm:{MODEL}", str(file), SIZE))(images)
    config = timm.data.resolve_model_data_config(trained)
    pixels = (images / 255 - config["mean"]) / config["std"]
    with torch.inference_mode():
        maps = trained.forward_features(torch.tensor(pixels.transpose(0, 3, 1, 2)).float())
    expected = maps.mean((2, 3)).numpy()
    assert features.dtype == np.float32
    assert features.std(0).mean() > 1e-3
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-6)


def test_an_untrained_model_is_the_same_each_time(timm, images):
    import torch

    spec = ExtractorSpec(f"timm:{MODEL}", "random", SIZE)
    torch.rand(1)
    state = torch.get_rng_state()
    features = create(spec)(images)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(1)
    np.testing.assert_array_equal(create(spec)(images), features)
    np.testing.assert_allclose(create(spec)(images[2:3]), features[2:3], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("model", "own_size"), [(MODEL, 160), ("test_vit_relpos", 160)])
def test_the_size_of_images(timm, model, own_size):
    """The model's own or the one given, also where a network is made for images of one size."""
    assert create(ExtractorSpec(f"timm:{model}", "random")).image_size == own_size
    extractor = create(ExtractorSpec(f"timm:{model}", "random", 64))
    assert extractor.image_size == 64
    assert len(extractor(np.zeros((2, 64, 64, 3), np.uint8))) == 2


def test_what_cannot_be_used(timm, trained, tmp_path, monkeypatch):
    import huggingface_hub
    import torch

    for name, message in (
        ("resnet81", "=timm:resnet81 is no model that timm knows; use .* such as .*resnet"),
        ("qqqqqqqqqq", "is no model that timm knows; see timm's list"),
        (f"{MODEL}.nope", r"cannot be used \(Invalid pretrained tag .*--weights=FILE"),
        ("hf-hub:", r"=timm:hf-hub: cannot be used \("),
    ):
        refused(message, ExtractorSpec(f"timm:{name}"))
    (tmp_path / "bad.pth").write_bytes(b"not weights")
    torch.save({"fc.weight": torch.zeros(7, 4)}, tmp_path / "little.pth")
    wide = {name: torch.zeros(*x.shape, 2) for name, x in trained.state_dict().items()}
    torch.save(wide, tmp_path / "wide.pth")
    for name, message in (
        ("no.pth", "no.pth is no file; give one with weights of"),
        ("bad.pth", r"bad.pth cannot be loaded into timm:test_resnet \(.+\); give"),
        ("wide.pth", r"wide.pth cannot be loaded .*size mismatch for .*; give"),
        ("little.pth", r"little.pth does not fit timm:test_resnet: it lacks \d+ of \d+ tensors"),
    ):
        refused(message, ExtractorSpec(f"timm:{MODEL}", str(tmp_path / name)))
    refused(
        "--image_size=2 cannot be used with timm:test_vit",
        ExtractorSpec("timm:test_vit", "random", 2),
    )
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    refused(r"its weights cannot be downloaded \(.*--weights=FILE", ExtractorSpec(f"timm:{MODEL}"))


class Evil:
    """Makes a file where it is unpickled."""

    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return type(self._path).touch, (self._path,)


def test_weights_that_are_code_are_refused_and_not_run(timm, trained, tmp_path):
    import torch

    state = dict(trained.state_dict()) | {"evil": Evil(tmp_path / "has_run")}
    torch.save(state, tmp_path / "evil.pth")
    refused("evil.pth cannot be loaded", ExtractorSpec(f"timm:{MODEL}", str(tmp_path / "evil.pth")))
    assert not (tmp_path / "has_run").exists()
