"""--profile: a trace that says what ran, and no more of it than is asked for."""

import collections
import gzip
import json

import jax
import pytest

from pad_jax import profiling
from pad_jax.errors import InputError
from pad_jax.profiling import Profile
from pad_jax.train import train_and_evaluate
from tests.support.small_runs import small_config


@pytest.fixture
def calls(monkeypatch):
    """What JAX's profiler is asked to do."""
    done = []
    monkeypatch.setattr(jax.profiler, "start_trace", lambda *_, **__: done.append("start"))
    monkeypatch.setattr(jax.profiler, "stop_trace", lambda: done.append("stop"))
    return done


def test_one_graph_and_some_steps(tmp_path, monkeypatch):
    monkeypatch.setattr(profiling, "_DISPATCHES", 3)
    train_and_evaluate(small_config(num_epochs=2), tmp_path / "run", profile=tmp_path / "trace")
    [file] = (tmp_path / "trace").rglob("perfetto_trace.json.gz")
    events = json.loads(gzip.decompress(file.read_bytes()))["traceEvents"]
    found = collections.Counter(event.get("name") for event in events)
    assert found["train"] == 3
    assert found["groups"] == 1
    assert list((tmp_path / "trace").rglob("*.xplane.pb"))  # for xprof


@pytest.mark.parametrize(
    ("epochs", "traced"), [(range(5), 1), (range(3, 5), 4), (range(4, 5), 4), (range(1), 0)]
)
def test_the_second_epoch_where_there_are_two(calls, tmp_path, epochs, traced):
    profile, begun = Profile(tmp_path), []
    for epoch in epochs:
        profile.begin(epoch, epochs[0], epochs[-1])
        begun += [epoch] * len(calls)
        profile.close()
        calls.clear()
    assert begun == [traced]


def test_an_epoch_of_few_steps_is_traced_to_its_end(calls, tmp_path):
    profile = Profile(tmp_path)
    profile.begin(0, 0, 0)
    profile.dispatched()
    profile.close()
    profile.close()
    profile.dispatched()
    assert calls == ["start", "stop"]


def test_without_a_folder_there_is_none(calls):
    profile = Profile(None)
    profile.begin(0, 0, 0)
    profile.dispatched()
    profile.close()
    assert calls == []


def test_a_folder_that_cannot_be_made_is_said_before_training(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file/trace cannot be written"):
        Profile(tmp_path / "file" / "trace")
