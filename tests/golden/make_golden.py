"""Make the golden stores of the present format: run once for each release, and never again for that release.

    python tests/golden/make_golden.py tests/golden

Writes `format_1_zarr.zip` and `format_1_hdf5.zip`, small stores, and for each a JSON file with what a reader must find
in it. (`format_1.zip` is a Zarr store that was made before there was HDF5.)
"""

import hashlib
import json
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import arraystore
from arraystore.format.spec import FORMAT_VERSION
from arraystore.testing import make_bioscan5m


def main() -> None:
    target = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        package = make_bioscan5m(folder / "package", 12, seed=1, rows_without_image=1, images_without_row=1)
        for container, suffix in (("zarr", ".zarr"), ("hdf5", ".h5")):
            path = folder / f"golden{suffix}"
            arraystore.ingest(package.sources(), path, metadata=package.metadata, progress=False)
            make_golden(path, package.jpegs["cropped_256"], target / f"format_{FORMAT_VERSION}_{container}.zip")


def make_golden(path: Path, jpegs: Mapping[str, bytes], target: Path) -> None:
    with arraystore.open(path) as store:
        found = {
            "keys": list(store.keys),
            "sha256": {key: hashlib.sha256(store.jpeg(key)).hexdigest() for key in jpegs},
            "pixels": {key: hashlib.sha256(store[key].tobytes()).hexdigest() for key in jpegs},
            "status": store.status.tolist(),
            "barcodes": list(store.text(range(len(store)))),
            "columns": json.loads(store.columns.to_pandas().to_json(orient="columns")),
        }
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                archive.write(file, file.relative_to(path.parent))
    target.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
