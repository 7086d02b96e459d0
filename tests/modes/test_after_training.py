"""The commands after training: embed, search, duplicates, sort, evaluate."""

import csv
import json
import os

import numpy as np
import pyarrow.parquet
import pytest

import pad_jax
from pad_jax.data import feature_files
from pad_jax.errors import InputError
from pad_jax.modes import duplicates, embed, evaluate, export, search, sort
from pad_jax.modes.opening import open_call
from tests.modes.conftest import PIXELS, change_dataset
from tests.support.image_files import save
from tests.support.small_runs import small_config


def read(path):
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


# embed


def test_embeddings_in_the_runs_folder(run, call, given):
    collection = open_call(call(run))
    for _ in range(2):  # the command's own file is replaced
        said = embed.MODE.run(call(run))
    assert said == f"Written: {run}/embeddings.npy and {run}/embeddings.csv (151 x 128)"
    np.testing.assert_array_equal(np.load(run / "embeddings.npy"), collection.embeddings)
    assert [row["image"] for row in read(run / "embeddings.csv")] == list(collection.names)


def test_what_cannot_be_written_is_not_in_the_way(run, call, given, tmp_path, monkeypatch):
    def full(file, array):
        raise OSError("9600 requested and 4064 written")

    with monkeypatch.context() as patched:
        patched.setattr(np, "save", full)
        with pytest.raises(InputError, match="x.npy cannot be written .*; make room"):
            embed.MODE.run(call(run, output=tmp_path / "x.npy"))
    assert not list(tmp_path.glob("x*"))
    embed.MODE.run(call(run, output=tmp_path / "x.npy"))
    assert {file.name for file in tmp_path.glob("x*")} == {"x.csv", "x.npy"}


@pytest.mark.parametrize("kind", ["npz", "parquet", "npy"])
def test_a_file_of_embeddings_is_one_of_features(
    run, digits_in_a_folder, call, given, tmp_path, kind
):
    collection = open_call(call(run))
    output = tmp_path / f"out.{kind}"
    embed.MODE.run(call(run, output=output))
    found = feature_files.read(output)
    np.testing.assert_array_equal(found.features, collection.embeddings)
    if kind == "npy":  # a table of other things, or of fewer rows, is none of their names
        names = output.with_suffix(".csv")
        whole = names.read_text()
        for other in ("x\n" * len(collection), "image\na.png\n"):
            names.write_text(other)
            with pytest.raises(InputError, match=f"--images={digits_in_a_folder} is a folder, and"):
                open_call(call(features=output, images=digits_in_a_folder))
        names.write_text(whole)
    again = open_call(call(features=output, images=digits_in_a_folder))
    np.testing.assert_array_equal(again.embeddings, collection.embeddings)
    assert again.path(3) == collection.path(3)
    if kind != "npy":
        np.testing.assert_array_equal(again.labels, collection.labels)
    with pytest.raises(InputError, match=f"--output=.*out.{kind} exists"):
        embed.MODE.run(call(run, output=output))
    assert sorted(p.suffix for p in tmp_path.glob("out.*")) == sorted(
        {f".{kind}", *([".csv"] if kind == "npy" else [])}
    )


def test_parquet_has_labels_and_groups_where_there_are_some(run, call, given, tmp_path):
    embed.MODE.run(call(run, output=tmp_path / "out.parquet"))
    table = pyarrow.parquet.read_table(tmp_path / "out.parquet")
    assert table.column_names == ["image", "label", "group", "embedding"]
    collection = open_call(call(run))
    assert table["image"].to_pylist() == list(collection.names)
    assert table["label"].to_pylist() == collection.labels.tolist()
    groups = [None if g < 0 else g for g in collection.groups.labels_.tolist()]
    assert table["group"].to_pylist() == groups
    assert None in groups


def test_names_that_are_no_text(call, features, given, tmp_path, rng):
    names = [b"\xff.png", b"a\nb.png", b"-c.png"]
    np.savez(tmp_path / "f.npz", features=rng.normal(size=(3, 4)), paths=names)
    for kind in ("npz", "parquet", "npy"):
        embed.MODE.run(call(features=tmp_path / "f.npz", output=tmp_path / f"out.{kind}"))
    found = [os.fsencode(row["image"]) for row in read(tmp_path / "out.csv")]
    assert found == names
    assert feature_files.read(tmp_path / "out.npz").paths == [os.fsdecode(name) for name in names]
    table = pyarrow.parquet.read_table(tmp_path / "out.parquet")
    assert table["image"].to_pylist() == ["\\xff.png", "a\nb.png", "-c.png"]


# search


@pytest.mark.parametrize("way", ["name", "file", "link", "stranger"])
def test_nearest_first(run, digits_in_a_folder, call, tmp_path, way):
    collection = open_call(call(run))
    query = {
        "name": "0/010.png",
        "file": str(digits_in_a_folder / "0/010.png"),
        "link": str(tmp_path / "010.png"),
        "stranger": str(tmp_path / "copy.png"),
    }[way]
    if way == "link":
        (tmp_path / "010.png").symlink_to(digits_in_a_folder / "0/010.png")
    save(tmp_path / "copy.png", PIXELS[10])
    ((first, *others),) = search.find(collection, [query], 5)
    row = collection.names.index("0/010.png")
    similarity = collection.embeddings.astype(np.float64) @ collection.embeddings[row]
    order = np.argsort(-similarity, kind="stable").tolist()
    if way == "stranger":  # finds what it is a copy of; one of the images does not find itself
        assert first.row == row
        assert first.similarity == pytest.approx(1, abs=1e-5)
    else:
        order.remove(row)
    found = [first, *others]
    assert [row for row, _ in found] == order[:5]
    np.testing.assert_allclose([s for _, s in found], similarity[order[:5]], atol=1e-5)


def test_several_queries_and_fewer_images_than_wanted(run, call, given, digits_in_a_folder):
    given(query=["0/000.png", "1/001.png"], count=500)
    lines = search.MODE.run(call(run)).splitlines()
    assert len(lines) == 2 * (1 + 150)
    assert lines[0] == "0/000.png:"
    assert lines[1].split("\t") == [str(digits_in_a_folder / "2/copy.png"), "1.0000"]


def test_search_by_features_alone(features, call, given):
    collection = open_call(call(features=features / "mine.npz"))
    ((first, *_),) = search.find(collection, ["25"], 3)
    assert first.row != 25
    with pytest.raises(InputError, match=r"--query=.*paths.txt is none of the images searched"):
        search.find(collection, [str(features / "paths.txt")])
    with pytest.raises(InputError, match="--query=77 is no file, and none of the images"):
        search.find(collection, ["77"])


def test_a_query_that_is_no_image(run, call, digits_in_a_folder):
    collection = open_call(call(run))
    said = r"^--query=.*1/broken.png cannot be decoded .*: cannot identify image file\)"
    with pytest.raises(InputError, match=said):
        search.find(collection, ["0/000.png", str(digits_in_a_folder / "1/broken.png")])


def test_a_query_is_decoded_as_the_run_decodes(run, call, tmp_path, rng):
    """Transparent images of one grey, which differ by where a background shows through."""
    change_dataset(run, background="black", labels="")
    recorded = json.loads((run / "run.json").read_text())
    recorded["decoding"]["background"] = "black"
    (run / "run.json").write_text(json.dumps(recorded))
    for i in range(5):
        pixels = np.full((16, 16, 2), 255, np.uint8)
        pixels[..., 1] = 255 * (rng.random((16, 16)) < 0.5)
        save(tmp_path / f"icons/{i}.png", pixels)
    collection = open_call(call(run, images=tmp_path / "icons"))
    (tmp_path / "icons/3.png").rename(tmp_path / "query.png")
    ((first, *_),) = search.find(collection, [str(tmp_path / "query.png")], 1)
    assert (collection.names[first.row], round(first.similarity, 5)) == ("3.png", 1.0)
    assert set(np.unique(collection.picture(0))) == {0, 255}


# duplicates


def test_copies_are_listed_and_left_where_they_are(run, digits_in_a_folder, call, given):
    given(similarity=0.9999)
    before = sorted(digits_in_a_folder.rglob("*"))
    for _ in range(2):
        said = duplicates.MODE.run(call(run))
    assert said.endswith(f"Written: {run}/duplicates.csv")
    assert "2 of 151 images have near-copies, of similarity 0.9999 or more: 1 pair" in said
    assert read(run / "duplicates.csv") == [
        {"set": "1", "image": "0/000.png", "nearest": "2/copy.png", "similarity": "1.000000",
         "copy_of": ""},
        {"set": "1", "image": "2/copy.png", "nearest": "0/000.png", "similarity": "1.000000",
         "copy_of": "0/000.png"},
    ]  # fmt: skip
    assert sorted(digits_in_a_folder.rglob("*")) == before


def test_near_copies_are_no_copies(run, call, given, tmp_path):
    given(similarity=0.95)
    root = tmp_path / "near"
    for i in range(3):
        save(root / f"{i}.png", np.maximum(PIXELS[0], 2 * i).astype(np.uint8))
    save(root / "other.png", PIXELS[1])
    output = tmp_path / "out.csv"
    duplicates.MODE.run(call(run, images=root, output=output))
    assert [row["copy_of"] for row in read(output)] == [""] * 3
    with pytest.raises(InputError, match="--output=.*out.csv exists"):
        duplicates.MODE.run(call(run, images=root, output=output))


def test_large_images_are_compared_in_full_size(run, call, given, tmp_path):
    """A board of black and white pixels and its inverse are one grey at half their size."""
    given(similarity=0.999)
    board = (np.indices((2048, 2048)).sum(0) % 2 * 255).astype(np.uint8)
    for name, pixels in (("a", board), ("b", 255 - board), ("c", board)):
        save(tmp_path / f"boards/{name}.png", pixels)
    output = tmp_path / "out.csv"
    duplicates.MODE.run(call(run, images=tmp_path / "boards", output=output))
    assert {row["image"]: row["copy_of"] for row in read(output)} == {
        "a.png": "",
        "b.png": "",
        "c.png": "a.png",
    }


def test_features_without_images_have_no_copies_of_pixels(call, given, tmp_path):
    """Two files in one folder, whose tables have names of their own."""
    given(similarity=0.999)
    for name, same in (("f", [1, 2]), ("g.v2", [0, 3])):
        rows = np.eye(5, dtype=np.float32)
        rows[same[1]] = rows[same[0]]
        np.save(tmp_path / f"{name}.npy", rows)
        duplicates.MODE.run(call(features=tmp_path / f"{name}.npy"))
    for name, (one, other) in (("f", "12"), ("g.v2", "03")):
        found = read(tmp_path / f"{name}.npy.duplicates.csv")
        assert [(row["image"], row["nearest"], row["copy_of"]) for row in found] == [
            (one, other, ""),
            (other, one, ""),
        ]


# evaluate, export, and what cannot be done


def test_evaluated_with_labels_and_without(run, call, given):
    made = call(run)
    made.config.eval.evaluators = ("knn",)
    made.config.eval.features = ("embedding",)
    said = evaluate.MODE.run(made)
    assert "  eval/knn_accuracy " in said
    assert "  clusters/purity " in said
    written = json.loads((run / "evaluation.json").read_text())
    assert written["epoch"] == 1
    assert written["images"] == 151
    labels = open_call(made).groups.labels_
    assert written["groups/count"] == labels.max() + 1
    assert written["groups/coverage"] == pytest.approx(np.mean(labels >= 0))
    change_dataset(run, labels="none")
    said = evaluate.MODE.run(call(run))
    assert "eval/" not in said
    assert "purity" not in said
    again = json.loads((run / "evaluation.json").read_text())
    assert again["groups/coverage"] == written["groups/coverage"]
    assert 0.5 < again["groups/similarity"] <= 1


def test_figures_are_told_where_they_cannot_be_written(run, call, given, monkeypatch, caplog):
    """As of a run in a folder of somebody else's."""
    made = call(run)
    made.config.eval.evaluators = ()

    def refuse(path, value):
        raise InputError(f"{path} cannot be written")

    monkeypatch.setattr("pad_jax.outputs.write_json", refuse)
    said = evaluate.MODE.run(made)
    assert "  groups/coverage " in said
    assert "Written" not in said
    assert "Not written: " in caplog.text


def test_a_run_that_stopped_in_its_first_epoch_has_no_encoder_yet(run, call, given):
    (run / "checkpoints/1").rename(run / "within_epoch/1")
    with pytest.raises(InputError, match="no checkpoint of whole epochs yet, only where its train"):
        embed.MODE.run(call(run))


def test_where_images_of_features_are_is_said_by_the_flag_that_says_it(call, given, tmp_path, rng):
    config = small_config(
        num_epochs=1, batch_size=8, **{"model.name": "linear", "augmentation.name": "perturbations"}
    )
    np.save(tmp_path / "f.npy", rng.normal(size=(20, 6)).astype(np.float32))
    config.dataset.update(name="features", root=str(tmp_path / "f.npy"), test_split="")
    config.eval.evaluators = ()
    workdir = tmp_path / "of_features"
    pad_jax.train_and_evaluate(config, workdir)
    given(clusters=2, copy=False)
    with pytest.raises(InputError, match="not at hand; --config.dataset.paths says where images"):
        sort.MODE.run(call(workdir, output=tmp_path / "x"))
    with pytest.raises(InputError, match="leave it out .where the images are, --config.dataset.pa"):
        sort.MODE.run(call(workdir, output=tmp_path / "x", images=tmp_path))


def test_bad_input_is_one_line(run, features, call, given, tmp_path):
    given(query=None, clusters=None, copy=False)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    mine = features / "mine.npz"
    for mode, made, message in (
        (embed, call(features=mine), "--output is missing; give a file, such as"),
        (embed, call(run, output=tmp_path / "x.txt"), "x.txt is of no kind that embeddings"),
        (search, call(run), "--query is missing"),
        (sort, call(run), "--output is missing; give a folder"),
        (sort, call(run, output=tmp_path / "full"), "full exists; give another name"),
        (sort, call(features=mine, output=tmp_path / "x"), "the image of 0 is not at hand"),
        (export, call(run), "--output is missing; give FILE.stablehlo"),
    ):
        with pytest.raises(InputError, match=message) as error:
            mode.MODE.run(made)
        assert "\n" not in str(error.value)
    given(clusters=200)
    with pytest.raises(InputError, match="--clusters=200 cannot be made of 40 images"):
        sort.MODE.run(call(features=mine, output=tmp_path / "x"))
    assert sorted(os.listdir(tmp_path)) == ["full", "run"]


def test_exported(run, call, given, tmp_path):
    said = export.MODE.run(call(run, output=tmp_path / "encoder.safetensors"))
    assert said == f"Written: {tmp_path}/encoder.safetensors"
    assert (tmp_path / "encoder.safetensors").stat().st_size > 1000
