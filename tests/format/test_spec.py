"""A store's description survives JSON, and nothing else passes for one."""

import json

import pytest

from arraystore.errors import FormatError
from arraystore.format.spec import FieldSpec, Status, StoreSpec

SPEC = StoreSpec(
    n=3,
    fields=(FieldSpec("image", "jpeg"), FieldSpec("dna_barcode", "text")),
    splits={"train": ["train"], "seen": ["train", "val"]},
    source={"fingerprint": "00ff"},
    counts={"images": 2},
    checksums={"image/offset/c/0": 2**32 - 1},
)


def test_spec_survives_json():
    assert StoreSpec.from_json(json.loads(json.dumps(SPEC.to_json()))) == SPEC


def test_newer_format_says_which_version_is_needed():
    with pytest.raises(FormatError, match="format 7") as caught:
        StoreSpec.from_json({**SPEC.to_json(), "format_version": 7, "novelty": 1})
    assert caught.value.code == "newer-format"


@pytest.mark.parametrize("entry", sorted(set(SPEC.to_json())))
def test_entry_that_is_missing_is_named(entry):
    document = SPEC.to_json()
    del document[entry]
    with pytest.raises(FormatError, match=entry.replace("_", ".")):
        StoreSpec.from_json(document)


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("n", -1),
        ("n", True),
        ("n", 2**40),
        ("n", "3"),
        ("fields", []),
        ("fields", 3),
        ("fields", [{"name": "a/b", "kind": "jpeg"}]),
        ("fields", [{"name": "a", "kind": "video"}]),
        ("fields", [{"name": "a", "kind": "text"}, {"name": "a", "kind": "text"}]),
        ("fields", ["a"]),
        ("key", ""),
        ("dataset", 5),
        ("checksums", {"a": -1}),
        ("checksums", {"../a": 1}),
        ("checksums", {"/etc/passwd": 1}),
        ("checksums", []),
        ("counts", None),
        ("splits", None),
        ("splits", {"seen": "train"}),
        ("splits", {"seen": [1]}),
        ("fields", [{"name": "a", "kind": "array"}]),
        ("format_version", "1"),
        ("format_version", 0),
    ],
)
def test_wrong_entry_is_a_format_error(entry, value):
    with pytest.raises(FormatError):
        StoreSpec.from_json({**SPEC.to_json(), entry: value})


@pytest.mark.parametrize("document", [None, [], "arraystore", 1])
def test_what_is_no_object_is_no_arraystore(document):
    with pytest.raises(FormatError, match="not an arraystore"):
        StoreSpec.from_json(document)


def test_status_labels_are_kebab_case():
    assert [status.label for status in Status] == [
        "sound",
        "missing",
        "empty",
        "not-a-jpeg",
        "truncated",
        "corrupt",
        "unsupported",
        "unreadable",
        "source-corrupt",
    ]
