"""Documents and shards of format 1 against zarr-python, and what is refused when a store is opened."""

import json
from pathlib import Path

import numpy as np
import pytest
import zarr

from arraystore.errors import FormatError, UnfinishedStoreError
from arraystore.format.arrays import IMAGE_DTYPES, KEY_DTYPES, ArrayForm, form_of, group_document
from arraystore.format.containers import open_layout
from arraystore.format.layout import CHUNK_NBYTES
from arraystore.format.spec import FieldSpec, StoreSpec
from arraystore.format.zarr_writer import ZarrWriter, write_document

FORMS = [
    ArrayForm.data(5, 2 * CHUNK_NBYTES),
    ArrayForm.data(5 * CHUNK_NBYTES + 1, 2 * CHUNK_NBYTES),
    ArrayForm("uint64", 40, 16, 8),
    ArrayForm.index("uint16", 20_000),
]


def small_store(root: Path, n: int = 10) -> Path:
    """A store of documents alone: no chunk is needed to open it."""
    for group, dtypes in {"image": IMAGE_DTYPES, "key": KEY_DTYPES}.items():
        write_document(root / group, group_document())
        for name, dtype in dtypes.items():
            form = ArrayForm.data(9, CHUNK_NBYTES) if name == "data" else ArrayForm.index(dtype, n)
            write_document(root / group / name, form.document())
    write_document(root / "columns", group_document({"column-order": ["order", "coord-lat"], "_index": "processid"}))
    ZarrWriter(root).commit(StoreSpec(n=n, fields=(FieldSpec("image", "jpeg"),)))
    return root


def change(root: Path, edit) -> None:
    document = json.loads((root / "zarr.json").read_text())
    edit(document)
    (root / "zarr.json").write_text(json.dumps(document))


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_zarr_python_writes_the_same_shards(form, tmp_path):
    write_document(tmp_path / "a", form.document())
    array = zarr.open_array(tmp_path / "a")
    # No element is zero, since zarr-python leaves out chunks that hold nothing but the fill value.
    values = (np.arange(form.length) % 200 + 1).astype(form.dtype)
    array[:] = values
    assert sorted(form.shard_names()) == sorted(f"c/{file.name}" for file in (tmp_path / "a/c").iterdir())
    for shard, name in enumerate(form.shard_names()):
        written = (tmp_path / "a" / name).read_bytes()
        assert len(written) == form.file_nbytes(shard)
        assert written.endswith(form.footer(shard))
        payload = values[shard * form.shard_length : (shard + 1) * form.shard_length].tobytes()
        assert written.startswith(payload)


def test_document_is_the_one_zarr_python_would_write(tmp_path):
    form = ArrayForm.index("uint64", 5)
    made = zarr.create_array(
        tmp_path / "a",
        shape=(5,),
        dtype="uint64",
        shards=(form.shard_length,),
        chunks=(form.chunk_length,),
        compressors=None,
    )
    document = json.loads((tmp_path / "a" / "zarr.json").read_text())
    assert form_of("a", document, dtype="uint64", length=5) == form
    assert made.shape == (5,)


def test_layout_says_where_every_array_lies(tmp_path):
    layout = open_layout(small_store(tmp_path / "s.zarr", n=2_000_000))
    assert layout.spec.n == 2_000_000
    files, piece_nbytes, total_nbytes = layout.pieces("image/offset")
    assert files == [(str(tmp_path / "s.zarr/image/offset/c" / name), 0) for name in "01"]
    assert (piece_nbytes, total_nbytes) == (8 * 1_048_576, 16_000_000)
    assert layout.pieces("image/data")[1:] == (CHUNK_NBYTES, 9)
    assert layout.column_names == ("order", "coord-lat")
    with pytest.raises(FormatError, match="no array dna_barcode/data"):
        layout.pieces("dna_barcode/data")


def test_zarr_python_reads_the_consolidated_tree_without_a_warning(tmp_path):
    group = zarr.open_group(small_store(tmp_path / "s.zarr"), mode="r", use_consolidated=True)
    assert group["image/height"].dtype == np.uint16
    assert set(group.group_keys()) == {"image", "key", "columns"}


def test_root_document_is_deterministic(tmp_path):
    one, other = small_store(tmp_path / "1"), small_store(tmp_path / "2")
    assert (one / "zarr.json").read_bytes() == (other / "zarr.json").read_bytes()
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("data_type", "uint32"),
        ("shape", [11]),
        ("shape", "x"),
        ("codecs", [{"name": "bytes", "configuration": {"endian": "little"}}]),
        ("chunk_grid", {"name": "regular", "configuration": {"chunk_shape": [16_384]}}),
        ("fill_value", 1),
        ("node_type", "group"),
    ],
)
def test_array_of_another_form_is_refused_by_name(entry, value, tmp_path):
    root = small_store(tmp_path / "s.zarr")
    change(root, lambda document: document["consolidated_metadata"]["metadata"]["image/offset"].update({entry: value}))
    with pytest.raises(FormatError, match="array image/offset"):
        open_layout(root).pieces("image/offset")


@pytest.mark.parametrize(("length", "shard"), [(2**60, 65_536), (-1, 65_536), (9, 1_000), (9, 0), (9, True)])
def test_hostile_data_array_is_refused(length, shard, tmp_path):
    root = small_store(tmp_path / "s.zarr")

    def edit(document):
        array = document["consolidated_metadata"]["metadata"]["image/data"]
        array["shape"] = [length]
        array["chunk_grid"]["configuration"]["chunk_shape"] = [shard]

    change(root, edit)
    with pytest.raises(FormatError):
        open_layout(root).pieces("image/data")


def test_array_that_is_absent_is_named(tmp_path):
    root = small_store(tmp_path / "s.zarr")
    change(root, lambda document: document["consolidated_metadata"]["metadata"].pop("key/row"))
    with pytest.raises(FormatError, match="no array key/row"):
        open_layout(root).pieces("key/row")


def test_nothing_there_is_file_not_found(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.zarr"):
        open_layout(tmp_path / "none.zarr")


def test_what_is_no_store_is_refused_with_the_reason(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "dir").mkdir()
    zarr.open_group(tmp_path / "group", mode="w")
    zarr.create_array(tmp_path / "array", shape=(1,), dtype="u1")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/zarr.json").write_text("{")
    reasons = {"file": "no zarr.json", "dir": "no zarr.json", "group": "no attribute 'arraystore'"}
    reasons |= {"array": "not a Zarr v3 group", "bad": "not JSON"}
    for name, reason in reasons.items():
        with pytest.raises(FormatError, match=reason):
            open_layout(tmp_path / name)


def test_unfinished_store_says_to_run_the_same_command(tmp_path):
    (tmp_path / "s.zarr/.ingest").mkdir(parents=True)
    with pytest.raises(UnfinishedStoreError, match="run the same ingest command again"):
        open_layout(tmp_path / "s.zarr")


def test_committed_store_with_a_work_directory_left_is_finished(tmp_path):
    root = small_store(tmp_path / "s.zarr")
    (root / ".ingest").mkdir()
    assert open_layout(root).spec.n == 10
