"""The commands export, merge and append as a user meets them."""

import json

import pytest

import arraystore
from arraystore.cli import main
from arraystore.testing import make_bioscan5m


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return make_bioscan5m(tmp_path_factory.mktemp("package"), n=24, distinct=4, form="zip-stored")


@pytest.fixture(scope="module")
def store(package, tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "cropped_256.zarr"
    arraystore.ingest(package.sources(), path, metadata=package.metadata)
    return path


def said(arguments, capsys, code=0):
    assert main(list(map(str, [*arguments, "--quiet"]))) == code
    captured = capsys.readouterr()
    return captured.err if code == 1 else captured.out


def test_export_merge_and_append_do_what_they_say(store, package, tmp_path, capsys):
    train = said(
        ["export", store, "-o", tmp_path / "a.zarr", "--select", "split=train", "--select", "split=val"], capsys
    )
    count = len(arraystore.open(store).select(split=["train", "val"]))
    assert f"{count} images" in train
    keys = tmp_path / "keys.txt"
    keys.write_text("\n".join(arraystore.open(store).keys[:4]))
    report = json.loads(said(["export", store, "-o", tmp_path / "b.h5", "--keys", keys, "--json"], capsys))
    assert (report["records"], report["state"]) == (4, "new")
    merged = json.loads(
        said(["merge", tmp_path / "a.zarr", tmp_path / "b.h5", "-o", tmp_path / "m.zarr", "--json"], capsys)
    )
    assert merged["records"] == count + 4 - merged["merged"]
    append = ["append", tmp_path / "m.zarr", *package.sources(), "--metadata", package.metadata]
    grown = json.loads(said([*append, "--json"], capsys))
    assert (grown["records"], grown["generation"], grown["exit_code"]) == (24, 1, 0)
    assert grown["merged"] == merged["records"]
    assert "has all of it already: 24 records" in said(append, capsys)
    assert "a store again: arraystore ingest" in said(["export", tmp_path / "m.zarr", "-o", tmp_path / "tree"], capsys)
    assert said(["export", tmp_path / "m.zarr", "-o", tmp_path / "x", "--to", "zip"], capsys).startswith(str(tmp_path))
    assert (tmp_path / "x").read_bytes().startswith(b"PK")


@pytest.mark.parametrize("name", ["image_measurement_value", "coord-lat", "species"])
def test_values_are_selected_as_they_are_written(store, tmp_path, capsys, name):
    column = arraystore.open(store).columns[name]
    values = [*column[~column.isna()][:2], None]
    # An integer beside missing ones is a float with a point.
    texts = ["" if value is None else str(value) for value in values]
    command = ["export", store, "-o", tmp_path / "n.zarr", "--json", "--overwrite", "--select"]
    counts = [json.loads(said([*command, f"{name}={text}"], capsys))["records"] for text in texts]
    assert counts == [int((column == value).sum()) for value in values]
    assert min(counts) > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["export", "STORE", "-o", "STORE"], "are one, or one lies inside"),
        (["export", "STORE", "-o", "x.zarr", "--select", "split"], "expected COLUMN=VALUE"),
        (["export", "STORE", "-o", "x.zarr", "--select", "coord-lat=north"], "coord-lat=north: expected a number"),
        (["export", "STORE", "-o", "x.zarr", "--select", "colour=red"], "colour"),
        (["export", "STORE", "-o", "x.zarr", "--select", "species=Nobody"], "no record is selected"),
        (["export", "none.zarr", "-o", "x.zarr"], "No such store"),
        (["merge", "STORE", "-o", "x.zarr"], "at least two stores"),
        (["append", "STORE", "none.zip"], "none.zip"),
    ],
)
def test_failures_are_one_line_that_says_what_to_do(store, tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    message = said([str(store) if each == "STORE" else each for each in arguments], capsys, code=1)
    assert message.startswith("arraystore: error: ")
    assert words in message
    assert message.count("\n") == 1
