"""What a notebook shows: pictures that other libraries read, no markup from data, and no failure on broken records."""

import base64
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import arraystore
from arraystore.errors import InvalidRequestError, UnknownColumnError, UnknownKeyError
from arraystore.integrations.pictures import gray, png
from arraystore.testing.biosr import make_biosr
from arraystore.testing.large import make_large_store

SOURCE = re.compile(r'src="data:image/(\w+);base64,([^"]+)"')


def pictures(shown):
    return [Image.open(io.BytesIO(base64.b64decode(data))) for _, data in SOURCE.findall(shown._repr_html_())]


class Balanced(HTMLParser):
    """Fails if an element is not closed."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attributes):
        if tag not in ("img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def assert_sound_html(shown):
    parser = Balanced()
    parser.feed(shown._repr_html_())
    assert parser.open == []


@pytest.fixture(scope="module")
def biosr(tmp_path_factory):
    root = tmp_path_factory.mktemp("biosr")
    arraystore.ingest(make_biosr(root, 4, side=32, gt_side=64).root, root / "biosr.zarr", progress=False)
    with arraystore.open(root / "biosr.zarr") as opened:
        yield opened


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (1, 1), (300, 2, 3)])
def test_a_png_is_read_by_pillow(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png(pixels)))), pixels)


def test_a_store_shows_what_it_holds_and_some_images(store):
    shown = store._repr_html_()
    assert_sound_html(store)
    assert "60 records" in shown
    assert "splits" in shown
    assert 6 <= len(pictures(store)) <= 8
    assert shown == store._repr_html_()


def test_a_grid_has_the_images_in_the_order_asked(store, sound):
    rows = sound[[7, 2, 5]]
    grid = store.show(rows, columns=("order", "split"), size=64)
    found = pictures(grid)
    for picture, row in zip(found, rows, strict=True):
        np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), store[int(row)])
    shown = grid._repr_html_()
    assert_sound_html(grid)
    assert re.findall(r"<b>(.*?)</b>", shown) == store.keys[rows]
    assert f"order: {store.columns['order'][int(rows[0])]}" in shown
    assert len(pictures(store.show(store.keys[int(rows[0])]))) == 1
    assert len(store.show()) == 16
    first, *lines = repr(grid).splitlines()
    assert first == "Grid(3 of 60 records)"
    assert [line.split()[:2] for line in lines] == [[str(row), store.keys[int(row)]] for row in rows]
    assert repr(store.show(range(12))).endswith("and 2 more")
    again = store.show([int(rows[0])] * 2)
    assert len(pictures(again)) == 2


def test_the_label_is_the_most_exact_rank(store, sound):
    columns = store.columns
    row = next(int(row) for row in sound if columns["species"][int(row)] is not None)
    assert columns["species"][row] in store.show(row)._repr_html_()


def test_what_cannot_be_shown_says_why(store, tmp_path, store_path):
    bad = (store.status != 0).nonzero()[0]
    grid = store.show(bad)
    assert len(pictures(grid)) < len(bad)
    assert "no image" in grid._repr_html_()
    copy = shutil.copytree(store_path, tmp_path / "damaged.zarr")
    for shard in (copy / "image/data/c").iterdir():
        shard.unlink()
    with arraystore.open(copy) as damaged:
        assert_sound_html(damaged)
        assert "no image" in damaged._repr_html_()
    for shard in (copy / "dna_barcode/data/c").iterdir():
        shard.unlink()
    with arraystore.open(copy) as damaged:
        assert_sound_html(damaged.record(5))
        assert str(damaged.record(5)["order"]) in damaged.record(5)._repr_html_()
    assert_sound_html(store.select([]))
    assert_sound_html(store.select([]).show())


def test_a_store_shows_that_it_was_closed(store_path):
    opened = arraystore.open(store_path)
    opened.close()
    assert_sound_html(opened)
    assert "the store was closed" in opened._repr_html_()


def test_text_is_no_markup(tmp_path):
    evil = '<script>alert("x")</script>'
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("RGB", (8, 8)).save(folder / "a<b>&.jpg")
    table = tmp_path / "photos.csv"
    table.write_text('file,order\na<b>&,"<script>alert(""x"")</script>"\n')
    arraystore.ingest(folder, tmp_path / "photos.zarr", metadata=table, key="file", progress=False)
    with arraystore.open(tmp_path / "photos.zarr") as store:
        assert store.record(0)["order"] == evil
        for shown in (store, store.show(columns="order"), store.record(0)):
            assert_sound_html(shown)
            assert "<script" not in shown._repr_html_()
            assert "a&lt;b&gt;&amp;" in shown._repr_html_()


def test_no_text_is_taken_for_a_formula(store):
    for shown in (store, store.show(), store.record(0)):
        assert shown._repr_html_().startswith('<div class="tex2jax_ignore mathjax_ignore"')


def test_a_record_is_a_mapping_with_its_picture(store, sound):
    row = int(sound[3])
    record = store.record(store.keys[row])
    assert (record.row, record.key) == (row, store.keys[row])
    assert record.size == store[row].shape[:2]
    assert list(record) == list(store.columns.names)
    frame = store.columns.to_pandas().iloc[row]
    assert record["order"] == frame["order"]
    assert record["coord-lat"] == pytest.approx(frame["coord-lat"], nan_ok=True)
    assert record.texts == {"dna_barcode": store.text(row)}
    np.testing.assert_array_equal(record.image, store[row])
    assert_sound_html(record)
    (picture,) = pictures(record)
    np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), store[row])
    assert f"Record {row} ({record.key})" in repr(record)
    with pytest.raises(UnknownKeyError):
        store.record("nobody")
    with pytest.raises(UnknownColumnError):
        record["nothing"]


def test_columns_named_as_what_the_store_says_are_shown_beside_it(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("RGB", (8, 6)).save(folder / "a.jpg")
    table = tmp_path / "photos.csv"
    table.write_text("file,size,row\na,large,seventh\n")
    arraystore.ingest(folder, tmp_path / "photos.zarr", metadata=table, key="file", progress=False)
    with arraystore.open(tmp_path / "photos.zarr") as store:
        record = store.record(0)
        assert_sound_html(record)
        lines = re.findall(r"<th[^>]*>(.*?)</th><td[^>]*>(.*?)</td>", record._repr_html_())
    assert lines == [("file", "a"), ("row", "0"), ("size", "6 × 8"), ("size", "large"), ("row", "seventh")]


def test_a_large_image_is_made_small(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (600, 900, 3), np.uint8)
    Image.fromarray(noise).save(folder / "large.jpg", quality=95)
    arraystore.ingest(folder, tmp_path / "photos.zarr", progress=False)
    with arraystore.open(tmp_path / "photos.zarr") as store:
        (picture,) = pictures(store.show(size=90))
        assert (picture.size, picture.format) == ((90, 60), "PNG")


def test_patches_are_shown_side_by_side(biosr):
    for shown, count in ((biosr.show([0, 1]), 4), (biosr.record(0), 2), (biosr, 4)):
        assert_sound_html(shown)
        assert len(pictures(shown)) == count
    wf, gt = (np.asarray(picture) for picture in pictures(biosr.record(0)))
    assert (wf.shape, gt.shape) == ((32, 32), (64, 64))
    low, high = np.percentile(biosr[0]["wf"], (0.5, 99.8))
    expected = np.clip((biosr[0]["wf"].astype(float) - low) / (high - low), 0, 1) * 255
    assert np.abs(wf - expected).max() <= 0.5 + 1e-6


@pytest.mark.parametrize(
    ("array", "shown"),
    [
        ([[0, 1], [2, 4]], [[0, 64], [128, 255]]),
        ([[np.nan, np.inf], [-np.inf, 3]], [[0, 0], [0, 0]]),
        ([[np.nan, np.inf], [1, 3]], [[0, 255], [0, 255]]),
        ([[7, 7]], [[0, 0]]),
        (5, [[0]]),
        ([[np.nan]], [[0]]),
    ],
)
def test_any_array_has_gray_values(array, shown):
    found = gray(np.array(array, np.float32))
    assert found.dtype == np.uint8
    np.testing.assert_allclose(found, shown, atol=1)


def test_an_image_of_a_source_that_cannot_be_decoded_is_not_shown(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("RGB", (40, 30), (200, 10, 10)).save(folder / "good.jpg")
    (folder / "wrong.jpg").write_bytes(b"\xff\xd8 is all that is right")
    with arraystore.open(folder, cache=False) as source:
        assert [picture.size for picture in pictures(source)] == [(40, 30)]
        assert "no image" in source.record("wrong")._repr_html_()


def test_a_source_shows_itself(package):
    with arraystore.open(package.sources(), metadata=package.metadata) as source:
        assert_sound_html(source)
        assert len(pictures(source)) > 0


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"rows": slice(None)}, InvalidRequestError),
        ({"rows": ["nobody"]}, UnknownKeyError),
        ({"columns": "nothing"}, UnknownColumnError),
        ({"size": 0}, InvalidRequestError),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path, arguments, error):
    with arraystore.open(make_large_store(tmp_path / "large.zarr", 1000)) as store, pytest.raises(error):
        store.show(**arguments)


def test_plots_count_what_the_columns_hold(store):
    pytest.importorskip("matplotlib").use("agg")
    axes = store.plot.classes("order", top=2)
    counts = store.columns["order"].value_counts()
    shown = {label.get_text(): bar.get_width() for label, bar in zip(axes.get_yticklabels(), axes.patches, strict=True)}
    for name, count in list(counts.items())[:2]:
        assert shown[name] == count
    assert sum(shown.values()) == len(store)
    sizes = store.plot.sizes()
    points = {tuple(point) for point in sizes.collections[0].get_offsets().data.tolist()}
    assert points == {(width, height) for height, width in store.sizes().tolist() if height}
    assert store.plot.sizes(sizes) is sizes
    with pytest.raises(UnknownColumnError):
        store.plot.classes("nothing")


def test_any_label_has_a_bar_of_its_own(tmp_path):
    pytest.importorskip("matplotlib").use("agg")
    labels = ["missing", "$x_{$", "1 others", "", "$x_{$", "plain", "$x_{$", "missing", "1 others"]
    table = tmp_path / "photos.csv"
    table.write_text("\n".join(["file,$y_{$,order", *(f"p{row},{label},a" for row, label in enumerate(labels))]))
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("RGB", (8, 8)).save(folder / "p0.jpg")
    arraystore.ingest(folder, tmp_path / "photos.zarr", metadata=table, key="file", progress=False)
    with arraystore.open(tmp_path / "photos.zarr") as store:
        axes = store.plot.classes("$y_{$", top=3)
    # Labels that look like math would stop it.
    axes.figure.canvas.draw()
    names = [label.get_text() for label in axes.get_yticklabels()]
    bars = [(name, bar.get_width()) for name, bar in zip(names, axes.patches, strict=True)]
    assert bars[::-1] == [(r"\$x_{\$", 3), ("1 others", 2), ("missing", 2), ("(1 others)", 1), ("(missing)", 1)]
    assert axes.get_title() == r"\$y_{\$: 4 values in 9 records"


def test_plots_of_classes_on_one_axis_agree_about_their_labels(store):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    figure, both = pyplot.subplots(1, 2, sharey=True)
    views = store.select(slice(30)), store.select(slice(30, None))
    for view, axes in zip(views, both, strict=True):
        view.plot.classes("order", ax=axes)
    figure.canvas.draw()
    labels = {round(label.get_position()[1]): label.get_text() for label in both[0].get_yticklabels()}
    for view, axes in zip(views, both, strict=True):
        counts = view.columns["order"].value_counts()
        bars = {labels[round(bar.get_y() + bar.get_height() / 2)]: bar.get_width() for bar in axes.patches}
        missing = int(view.columns["order"].isna().sum())
        assert bars == {**counts, **({"missing": missing} if missing else {})}


def test_without_matplotlib_a_plot_says_what_to_install(store, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"arraystore\[plot\]"):
        store.plot.sizes()


@pytest.mark.parametrize("name", ["bioscan", "biosr"])
def test_the_notebooks_run_and_show_what_they_did(name, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib").use("agg")
    root = Path(__file__).parents[2]
    monkeypatch.syspath_prepend(root / "scripts")
    import notebooks

    path = root / "docs/notebooks" / f"{name}.ipynb"
    assert path.stat().st_size < 500_000
    text = path.read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for cell, outputs in notebooks.run(json.loads(text)):
        kinds = [list(output.get("data", [output["output_type"]])) for output in outputs]
        kept = [list(output.get("data", [output["output_type"]])) for output in cell["outputs"]]
        assert kinds == kept, f"run scripts/notebooks.py again: {''.join(cell['source'])}"
