"""Make the golden store of the present format: run once for each release, and never again for that release.

    python tests/golden/make_golden.py tests/golden

Writes `format_1.zip`, a small store, and `format_1.json`, what a reader must find in it.
"""

import hashlib
import json
import sys
import tempfile
import zipfile
from pathlib import Path

import arraystore
from arraystore.format.spec import FORMAT_VERSION
from arraystore.testing import make_bioscan5m


def main() -> None:
    target = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        package = make_bioscan5m(folder / "package", 12, seed=1, rows_without_image=1, images_without_row=1)
        report = arraystore.ingest(package.sources(), folder / "golden.zarr", metadata=package.metadata, progress=False)
        store = arraystore.open(report.path)
        found = {
            "keys": list(store.keys),
            "sha256": {key: hashlib.sha256(store.jpeg(key)).hexdigest() for key in package.jpegs["cropped_256"]},
            "pixels": {key: hashlib.sha256(store[key].tobytes()).hexdigest() for key in package.jpegs["cropped_256"]},
            "status": store.status.tolist(),
            "barcodes": list(store.text(range(len(store)))),
            "columns": json.loads(store.columns.to_pandas().to_json(orient="columns")),
        }
        with zipfile.ZipFile(
            target / f"format_{FORMAT_VERSION}.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9
        ) as archive:
            for path in sorted(report.path.rglob("*")):
                if path.is_file():
                    archive.write(path, path.relative_to(report.path))
        (target / f"format_{FORMAT_VERSION}.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
