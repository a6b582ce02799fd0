"""The first minute of a user: `arraystore demo`."""

import pytest
from PIL import Image

import arraystore
from arraystore import cli
from arraystore.cli.contact_sheet import draw_contact_sheet
from arraystore.testing import make_bioscan5m


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("arraystore.cli.demo._DRAWN_IMAGES", 24)
    monkeypatch.setattr("arraystore.cli.speeds._MEASURED_S", 0.01)


def test_the_demo_makes_a_store_and_a_picture(tmp_path, capsys):
    for _ in range(2):
        assert cli.main(["demo", "--out", str(tmp_path)]) == 0
        output = capsys.readouterr().out
        assert "every checksum agrees" in output
        assert "x Pillow" in output
    with arraystore.open(tmp_path / "demo.zarr") as store:
        assert len(store) == 24
        assert store.columns["order"][0]
    with Image.open(tmp_path / "demo.png") as sheet:
        assert sheet.width > 1000


@pytest.mark.parametrize("form", ["tree", "zip-deflated"])
def test_the_demo_takes_a_package_of_the_user(tmp_path, capsys, form):
    package = make_bioscan5m(tmp_path / "mine", 10, form=form)
    assert cli.main(["demo", str(package.sources()[0]), "--out", str(tmp_path / "out")]) == 0
    assert len(arraystore.open(tmp_path / "out/demo.zarr")) == 10
    assert "next, in Python" in capsys.readouterr().out


def test_damaged_images_do_not_stop_the_demo(tmp_path, capsys):
    package = make_bioscan5m(tmp_path / "mine", 10)
    paths = sorted(package.images["cropped_256"].rglob("*.jpg"))
    paths[0].write_bytes(b"")
    paths[1].write_bytes(paths[1].read_bytes()[:900])
    body = bytearray(paths[2].read_bytes())
    body[-600:-300] = bytes(300)
    paths[2].write_bytes(body)
    assert cli.main(["demo", str(package.images["cropped_256"]), "--out", str(tmp_path)]) == 0
    assert "listed in" in capsys.readouterr().out


def test_what_is_in_the_way_is_not_removed(tmp_path, capsys):
    (tmp_path / "demo.zarr").mkdir()
    (tmp_path / "demo.zarr/mine.txt").write_text("mine")
    assert cli.main(["demo", "--out", str(tmp_path)]) == 1
    assert (tmp_path / "demo.zarr/mine.txt").read_text() == "mine"
    assert "demo.zarr" in capsys.readouterr().err


def test_a_sheet_has_room_for_all_pictures(tmp_path):
    import numpy as np

    pictures = np.full((5, 10, 20, 3), 7, np.uint8)
    draw_contact_sheet(pictures, [(f"K{i}", "") for i in range(5)], tmp_path / "a.png", title="five", columns=2)
    with Image.open(tmp_path / "a.png") as sheet:
        assert (np.asarray(sheet) == 7).all(axis=2).sum() == 5 * 10 * 20
