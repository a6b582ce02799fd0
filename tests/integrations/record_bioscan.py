"""What `bioscan_dataset` gives for small tables, recorded for machines that lack it; and the cases to compare.

    python tests/integrations/record_bioscan.py

Needs bioscan-dataset 1.3.0 with all that it needs. Writes `bioscan_golden/expected_5m.json` and `expected_1m.json`;
with `--tables` also the tables that they are about.
"""

import csv
import json
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

GOLDEN = Path(__file__).parent / "bioscan_golden"
TABLE_5M = GOLDEN / "bioscan5m.csv"
TABLE_1M = GOLDEN / "bioscan1m.tsv"
CLIBD = GOLDEN / "clibd.json"

RANKS_5M = ["phylum", "class", "order", "family", "subfamily", "genus", "species", "dna_bin"]
RANKS_1M = ["phylum", "class", "order", "family", "subfamily", "tribe", "genus", "species", "uri"]

# Arguments besides the root. Items, representation and metadata must be those of bioscan_dataset.
CASES_5M = {
    "default": {},
    "no split": {"split": None},
    "all": {"split": "all", "target_type": RANKS_5M},
    "pretrain": {"split": "pretrain", "target_type": "order"},
    "alias": {"split": "validation", "target_type": ["uri", "genus"]},
    "sum": {"split": "val + test", "target_type": "family", "target_format": "text"},
    "sum with metasplit": {
        "split": "seen+other_heldout",
        "target_type": ["family", "species"],
        "target_format": "text",
    },
    "unseen": {"split": "unseen", "modality": "barcode", "target_type": []},
    "dict": {"split": "all", "output_format": "dict", "target_type": ["order", "uri"], "modality": ["dna", "image"]},
    "dictionary": {"split": "test", "output_format": "dictionary", "target_format": "text", "modality": "dna_barcode"},
    "columns": {
        "split": "all",
        "modality": [
            "processid",
            "country",
            "province_state",
            "coord-lat",
            "coord-lon",
            "image_measurement_value",
            "area_fraction",
            "scale_factor",
            "split",
            "chunk",
            "species",
            "species_index",
            "image_path",
        ],
    },
    "reduced": {"split": "all", "reduce_repeated_barcodes": True},
    "reduced and cut": {"split": "seen", "reduce_repeated_barcodes": True, "max_nucleotides": 12},
    "not cut": {"split": "all", "max_nucleotides": None, "modality": ("dna", "image", "dna")},
    "transforms": {
        "split": "train",
        "target_type": ["order", "family"],
        "transform": "transform",
        "dna_transform": "transform",
        "target_transform": "transform",
    },
}
CASES_1M = {
    "default": {},
    "all": {"split": "all", "target_type": RANKS_1M},
    "text": {"split": None, "target_type": RANKS_1M, "target_format": "text", "modality": "nucraw"},
    "alias": {"split": "val", "partitioning_version": "Small_Insect_Order", "target_type": "order"},
    "sum": {"split": "train+val", "partitioning_version": "medium_diptera_family", "target_type": ["dna_bin", "class"]},
    "no_split": {"split": "no_split", "output_format": "dict", "target_type": ["tribe", "uri"]},
    "columns": {
        "split": "all",
        "modality": [
            "processid",
            "sampleid",
            "uri",
            "image_file",
            "chunk_number",
            "large_diptera_family",
            "tribe",
            "small_insect_order",
            "genus_index",
            "clibd_split",
        ],
    },
    "reduced": {"split": "all", "reduce_repeated_barcodes": True, "target_type": RANKS_1M},
    "reduced and cut": {"split": "test", "reduce_repeated_barcodes": True, "max_nucleotides": 12},
    "clibd": {"split": "train_seen", "partitioning_version": "clibd", "target_type": "species"},
    "clibd alias": {"split": "pretrain", "partitioning_version": "CLIBD", "modality": ["clibd_split", "dna"]},
    "clibd metasplit": {"split": "no_split_and_seen_train", "partitioning_version": "clibd", "target_type": "genus"},
    "clibd sum": {"split": "no_split+train", "partitioning_version": "clibd", "modality": ["clibd_split", "image"]},
    "clibd all": {"split": "all", "partitioning_version": "clibd", "reduce_repeated_barcodes": True},
}
# Arguments that fail, when the dataset is made or when an item is read, with a built-in class of exceptions.
FAILURES_5M = [
    {"split": "training"},
    {"split": "train+training"},
    {"split": ""},
    {"target_format": "number"},
    {"target_type": [], "target_transform": "transform"},
    {"modality": "colour"},
    {"output_format": "list"},
    {"target_type": "tribe"},
    {"image_package": "original_256"},
]
FAILURES_1M = [
    {"split": "pretrain"},
    {"partitioning_version": "huge_insect_order"},
    {"partitioning_version": "clibd", "split": "training"},
    {"partitioning_version": "clibd", "split": "train+training"},
    {"target_type": "dna_barcode"},
    {"modality": "colour"},
    {"target_format": "number"},
]


class Marked:
    """A transform that can be seen in the item and in the representation of the dataset."""

    def __call__(self, value):
        return ["transformed", value]

    def __repr__(self):
        return "Marked(\n    twice\n)"


def arguments(case):
    """Return the arguments of a case, with transforms for their names."""
    return {name: Marked() if value == "transform" else value for name, value in case.items()}


def rows(table):
    """Return the rows of a table as dicts."""
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t" if table.suffix == ".tsv" else ","))


def lay_out_5m(root):
    """Write the published folders for the table of BIOSCAN-5M; return which pixels are whose."""
    pictures = {}
    for row in rows(TABLE_5M):
        folder = root / "bioscan5m/images/cropped_256" / row["split"] / row["chunk"]
        _draw(folder / f"{row['processid']}.jpg", len(pictures), row["processid"], pictures)
    copy = root / "bioscan5m/metadata/csv/BIOSCAN_5M_Insect_Dataset_metadata.csv"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(TABLE_5M.read_bytes())
    return pictures


def lay_out_1m(root):
    """Write the published folders for the table of BIOSCAN-1M, and CLIBD's files."""
    pictures = {}
    for row in rows(TABLE_1M):
        folder = root / "bioscan1m/images/cropped_256" / f"part{row['chunk_number']}"
        _draw(folder / row["image_file"], len(pictures), row["processid"], pictures)
    (root / "bioscan1m/BIOSCAN_Insect_Dataset_metadata.tsv").write_bytes(TABLE_1M.read_bytes())
    (root / "bioscan1m/CLIBD_partitioning").mkdir()
    for name, samples in json.loads(CLIBD.read_text()).items():
        (root / f"bioscan1m/CLIBD_partitioning/{name}.txt").write_text("".join(f"{each}\n" for each in samples))
    return pictures


def _draw(path, number, key, pictures):
    path.parent.mkdir(parents=True, exist_ok=True)
    # Of a colour and a width of its own: pixels tell whose picture it is.
    Image.new("RGB", (16 + number, 16), (number * 5 % 256, number * 11 % 256, 90)).save(path, quality=90)
    pictures[Image.open(path).tobytes()] = key


def described(value, pictures):
    """Return a value as JSON can hold it, with its type."""
    if isinstance(value, dict):
        return {name: described(each, pictures) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return [type(value).__name__, *(described(each, pictures) for each in value)]
    if isinstance(value, Image.Image):
        return f"image of {pictures[value.tobytes()]}, {value.mode}, {value.format}"
    if isinstance(value, float | np.floating) and np.isnan(value):
        return "NaN"
    if isinstance(value, np.generic):
        return f"{value.dtype} {value.item()!r}"
    assert value is None or isinstance(value, str | int | float), repr(value)
    return value if isinstance(value, str | None) else f"{type(value).__name__} {value!r}"


def described_dataset(dataset, pictures):
    """Return all that a dataset gives: items, representation, metadata."""
    frame = dataset.metadata
    shown = repr(dataset).splitlines()
    return {
        "items": [described(dataset[index], pictures) for index in range(len(dataset))],
        "last": described(dataset[-1], pictures) if len(dataset) else None,
        # Without the root, which differs.
        "repr": [line for line in shown if "Root location" not in line],
        "index": frame.index.tolist(),
        "columns": {
            name: [None if value != value else value for value in frame[name].astype(object).tolist()] for name in frame
        },
        "categories": {name: frame[name].cat.categories.tolist() for name in frame if frame[name].dtype == "category"},
    }


def failure(make):
    """Return where a dataset fails, and the built-in class of exceptions that is caught."""
    where = "made"
    try:
        dataset = make()
        where = "read"
        dataset[0]
    except (KeyError, IndexError, TypeError, OSError, ValueError, RuntimeError) as error:
        kinds = (KeyError, IndexError, TypeError, OSError, ValueError, RuntimeError)
        return {"where": where, "error": next(kind.__name__ for kind in kinds if isinstance(error, kind))}
    return {"where": "nowhere"}


def expected(make, cases, failures, pictures):
    """Describe all cases."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "cases": {name: described_dataset(make(**arguments(case)), pictures) for name, case in cases.items()},
            "failures": [failure(lambda case=case: make(**arguments(case))) for case in failures],
        }


def peer(name, root):
    """Return a maker of datasets of bioscan_dataset that does not compare files with those published."""
    import bioscan_dataset

    real = getattr(bioscan_dataset, name)

    class Unchecked(real):
        def _check_integrity(self, verbose=1):
            # What it looks at, besides checksums.
            images = "image" not in self.modality or Path(self.image_dir).is_dir()
            return images and Path(self.metadata_path).is_file()

    Unchecked.__name__ = name
    return lambda **given: Unchecked(str(root), **given)


def make_tables():
    """Write the tables: rows of imaginary specimens with all that is odd in them."""
    from arraystore.testing.packages import make_bioscan1m, make_bioscan5m

    with tempfile.TemporaryDirectory() as name:
        package = make_bioscan5m(Path(name) / "5m", 44, seed=4, distinct=1)
        _write(TABLE_5M, ",", _odd_rows(rows(package.metadata), "dna_barcode", ""))
        package = make_bioscan1m(Path(name) / "1m", 40, seed=5, distinct=1)
        _write(TABLE_1M, "\t", _odd_rows(rows(package.metadata), "nucraw", "not_classified"))
    _odd_labels()
    samples = [row["sampleid"] for row in rows(TABLE_1M)]
    names = ["no_split", "train_seen", "seen_keys", "single_species", "val_seen", "val_unseen", "val_unseen_keys"]
    names += ["test_seen", "test_unseen", "test_unseen_keys"]
    # Neither in the order of the table nor in that of the alphabet.
    lists = {name: samples[number::10][::-1] for number, name in enumerate(names)}
    lists["all_keys"] = lists["seen_keys"] + lists["val_unseen_keys"] + lists["test_unseen_keys"]
    lists["no_split_and_seen_train"] = lists["train_seen"] + lists["no_split"]
    CLIBD.write_text(json.dumps(lists, indent=1) + "\n")


def _odd_rows(table, barcode, missing):
    for number, row in enumerate(table):
        text = row[barcode][: 20 + number % 5]
        # Every third is that of an earlier row, with other letters at the end or more of them missing.
        row[barcode] = table[number // 3][barcode].rstrip("N") + "N" * (number % 4) if number % 3 == 2 else text
    table[3][barcode] = "ACGT" * 170
    table[5][barcode] = table[6][barcode] = table[9][barcode] = ""
    for name, number in (("genus", 1), ("family", 2), ("order", 4)):
        table[number][name] = missing or "NA"
    return table


def _odd_labels():
    table = rows(TABLE_1M)
    for number, labels in enumerate(
        [
            {"genus": "Asteia", "tribe": "not_classified"},
            {"genus": "Nemorilla", "tribe": "Other"},
            {"genus": "Philaenus", "subfamily": "not_classified"},
            {"genus": "not_classified", "species": "Cricotopus alba", "tribe": "not_classified", "subfamily": "Sub"},
            {"genus": "not_classified", "species": "Asteia amoena", "tribe": "not_classified"},
            {"genus": "Aphis", "tribe": "not_classified", "subfamily": "not_classified", "family": "Aphididae"},
            {"genus": "Aphis", "tribe": "not_classified", "subfamily": "not_classified", "family": "not_classified"},
            {"tribe": "Aphidini", "subfamily": "not_classified", "family": "Aphididae"},
        ]
    ):
        table[number] |= labels
    _write(TABLE_1M, "\t", table)


def _write(path, delimiter, table):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]), delimiter=delimiter, lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)


def _compact(found):
    return json.dumps(found, ensure_ascii=False, separators=(",", ":"))


def main():
    GOLDEN.mkdir(exist_ok=True)
    if "--tables" in sys.argv:
        make_tables()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        found_5m = expected(peer("BIOSCAN5M", root), CASES_5M, FAILURES_5M, lay_out_5m(root))
        found_1m = expected(peer("BIOSCAN1M", root), CASES_1M, FAILURES_1M, lay_out_1m(root))
    for size, found in (("5m", found_5m), ("1m", found_1m)):
        # A case a line: changes can be read, and the file is not long.
        cases = ",\n".join(f"{json.dumps(name)}: {_compact(case)}" for name, case in found["cases"].items())
        text = f'{{"failures": {_compact(found["failures"])},\n"cases": {{\n{cases}\n}}}}'
        (GOLDEN / f"expected_{size}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
