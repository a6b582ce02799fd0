"""The whole of BIOSCAN-5M in number: 5.15 million members of four zips and as many rows, ingested and verified.

    python benches/scale.py FOLDER [--rows 5150850] [--nbytes 3000]

FOLDER needs room for three times the images (`--nbytes` for each of them) and the table (about 900 bytes a row). The
images are a few hundred different JPEGs, repeated; members, keys and rows are all different. What a bare copy of the
same archives takes, synced, and the parsing of the table alone, are measured in the same run. Each step is a process
of its own, whose memory (RssAnon, without the pages of files that it maps) is looked at fifty times a second.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import random
import shutil
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from arraystore.testing.insects import draw_insect
from arraystore.testing.specimens import COLUMNS

SEED = 5
IMAGES = 256
BARCODES = 20_000
SPECIES, BINS = 22_622, 324_411
SAMPLES = {
    "pretrain": 4_677_756, "train": 289_203, "val": 14_757, "test": 39_373, "key_unseen": 36_465, "val_unseen": 8_819,
    "test_unseen": 7_887, "other_heldout": 76_590,
}  # fmt: skip
# As the publisher cuts the package.
ARCHIVES = {
    "pretrain.01": ("pretrain", 0),
    "pretrain.02": ("pretrain", 1),
    "train": ("train", None),
    "eval": (None, None),
}
CHUNK_LETTERS = {"pretrain": 2, "train": 1, "other_heldout": 1}

LOCAL = struct.Struct("<4sHHHHHIIIHH")
CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=5_150_850)
    parser.add_argument("--nbytes", type=int, default=3_000, help="mean size of an image, about")
    parser.add_argument("--keep", action="store_true", help="keep package and store")
    options = parser.parse_args()
    root = options.folder / "scale"
    package = make_package(root / "package", options.rows, options.nbytes)
    archives = sorted(package.glob("*.zip"))
    table = package / "bioscan5m/metadata/csv/BIOSCAN_5M_Insect_Dataset_metadata.csv"
    nbytes = sum(path.stat().st_size for path in archives)
    print(
        f"{options.rows:,} members in {len(archives)} archives, {nbytes / 1e9:.1f} GB; "
        f"table {table.stat().st_size / 1e9:.1f} GB"
    )
    copied = step("bare copy of the archives, synced", COPY, *archives, root / "copy")
    shutil.rmtree(root / "copy")
    parsed = step("table alone", PARSE, table, root)
    ingested = step("ingest", INGEST, *archives, table, root / "store.zarr")
    print(f"ingest is {ingested / (copied + parsed):.2f} x the copy and the table")
    step("verify", VERIFY, root / "store.zarr")
    step("open, find a key, read its image, select", OPEN, root / "store.zarr", key_of(options.rows // 3))
    if not options.keep:
        shutil.rmtree(root)


def step(name: str, code: str, *arguments: object) -> float:
    """Run some code in a process of its own; return its seconds."""
    begun = time.perf_counter()
    command = [sys.executable, "-c", code + "print(said)", *map(str, arguments)]
    peak_kb = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            peak_kb = max(peak_kb, own_memory_kb(process.pid))
            time.sleep(0.02)
        said = process.stdout.read() if process.stdout else ""
    if process.returncode:
        raise SystemExit(f"{name} failed")
    wall = time.perf_counter() - begun
    print(f"{name:<42}{wall:8.1f} s, peak {peak_kb / 1e6:6.2f} GB; {said.strip()}", flush=True)
    return wall


def own_memory_kb(pid: int) -> int:
    """Memory that is the process's own, not pages of files that it maps."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)


COPY = """
import os, shutil, sys, pathlib
*paths, to = map(pathlib.Path, sys.argv[1:])
to.mkdir()
for path in paths:
    shutil.copyfile(path, to / path.name)
os.sync()
said = ""
"""
PARSE = """
import pathlib, sys
from arraystore.sources.bioscan5m import Bioscan5M
from arraystore.sources.tables import read_metadata
path, folder = map(pathlib.Path, sys.argv[1:])
table = read_metadata(path, Bioscan5M.table, key="processid", spill=folder / "text.bin")
(folder / "text.bin").unlink()
said = f"{len(table):,} rows"
"""
INGEST = """
import os, sys, arraystore
*archives, table, store = sys.argv[1:]
report = arraystore.ingest(archives, store, metadata=table, progress=False)
os.sync()
assert report.exit_code == 0, str(report)
said = f"{report.records:,} records"
"""
VERIFY = """
import sys, arraystore
report = arraystore.verify(sys.argv[1], progress=False)
assert report.ok, str(report)
said = f"{report.records:,} records, {report.files:,} files"
"""
OPEN = """
import sys, time, arraystore
arraystore.open
times = [time.perf_counter()]
store = arraystore.open(sys.argv[1])
times.append(time.perf_counter())
store[sys.argv[2]]
times.append(time.perf_counter())
chosen = store.select(split="seen", order="Diptera")
times.append(time.perf_counter())
steps = [f"{(after - before) * 1e3:.1f} ms" for before, after in zip(times, times[1:])]
said = f"{', '.join(steps)}; {len(chosen):,} of the selection"
"""


def make_package(root: Path, n: int, mean_nbytes: int) -> Path:
    """Write archives and table, unless they are there."""
    done = root / "made.json"
    asked = json.dumps([n, mean_nbytes])
    if done.exists() and done.read_text() == asked:
        return root
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    begun = time.perf_counter()
    splits = split_of_each(n)
    jpegs = make_jpegs(mean_nbytes)
    for name, (split, half) in ARCHIVES.items():
        chosen = [row for row in range(n) if belongs(splits[row], split) and half in (None, row % 2)]
        with (root / f"BIOSCAN_5M_cropped_256_{name}.zip").open("wb", buffering=1 << 22) as file:
            write_zip(file, ((member(key_of(row), splits[row]), jpegs[row % IMAGES]) for row in chosen))
    table = root / "bioscan5m/metadata/csv/BIOSCAN_5M_Insect_Dataset_metadata.csv"
    table.parent.mkdir(parents=True)
    write_table(table, splits)
    done.write_text(asked)
    print(f"package made in {time.perf_counter() - begun:.0f} s", flush=True)
    return root


def key_of(row: int) -> str:
    # Neighbours in the table are no neighbours in alphabetical order.
    number = row * 7_368_787 % 10_000_019
    return f"BSC{chr(65 + number % 23)}{number:08d}-{10 + number % 14}"


def split_of_each(n: int) -> list[str]:
    return random.Random(SEED).choices(list(SAMPLES), list(SAMPLES.values()), k=n)


def belongs(split: str, wanted: str | None) -> bool:
    return split == wanted if wanted else split not in ("pretrain", "train")


def chunk_of(key: str, split: str) -> str:
    return hashlib.md5(key.encode()).hexdigest()[: CHUNK_LETTERS.get(split, 0)]


def member(key: str, split: str) -> bytes:
    chunk = chunk_of(key, split)
    return f"bioscan5m/images/cropped_256/{split}/{chunk}{'/' if chunk else ''}{key}.jpg".encode()


def make_jpegs(mean_nbytes: int) -> list[bytes]:
    """Draw insects, and save each with the quality that gives about the size wanted."""
    jpegs = []
    for seed in range(IMAGES):
        insect = draw_insect(seed, height=256, width=300)
        wanted = mean_nbytes * (0.7 + 0.6 * random.Random(seed).random())
        for quality in (75, 60, 45, 30, 20, 12, 7, 4):
            file = io.BytesIO()
            insect.save(file, "JPEG", quality=quality)
            if file.tell() <= wanted:
                break
        jpegs.append(file.getvalue())
    return jpegs


def write_zip(file: BinaryIO, members: Iterator[tuple[bytes, bytes]]) -> None:
    """Write stored members and a ZIP64 directory; quicker by far than an object for each of millions."""
    checksums: dict[int, int] = {}
    central = io.BytesIO()
    offset = count = 0
    for name, content in members:
        crc = checksums.setdefault(id(content), zlib.crc32(content))
        file.write(LOCAL.pack(b"PK\3\4", 20, 0, 0, 0, 0x5921, crc, len(content), len(content), len(name), 0))
        file.write(name)
        file.write(content)
        large = struct.pack("<HHQ", 1, 8, offset) if offset >= 2**32 - 1 else b""
        at = 2**32 - 1 if large else offset
        sizes = (len(content), len(content), len(name), len(large))
        central.write(CENTRAL.pack(b"PK\1\2", 45, 45, 0, 0, 0, 0x5921, crc, *sizes, 0, 0, 0, 0, at))
        central.write(name + large)
        offset += LOCAL.size + len(name) + len(content)
        count += 1
    nbytes = central.tell()
    file.write(central.getbuffer())
    file.write(struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, count, count, nbytes, offset))
    file.write(struct.pack("<4sIQI", b"PK\6\7", 0, offset + nbytes, 1))
    file.write(struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 65535, 65535, 2**32 - 1, 2**32 - 1, 0))


def write_table(path: Path, splits: list[str]) -> None:
    """Write rows of the 23 published columns, with about as many different values as the published table has."""
    draw = random.Random(SEED)
    barcodes = ["".join(draw.choices("ACGT", k=658)) for _ in range(BARCODES)]
    orders = ["Diptera", "Hymenoptera", "Coleoptera", "Hemiptera", "Lepidoptera"]
    with path.open("w", encoding="utf-8", buffering=1 << 22) as file:
        file.write(",".join(COLUMNS) + "\n")
        for row, split in enumerate(splits):
            key, species = key_of(row), row * 31 % SPECIES
            labelled = split != "pretrain"
            genus = species % 7_605 if labelled or row % 4 == 0 else None
            ranks = (
                f"Arthropoda,Insecta,{orders[row % 5]},Family {species % 934},"
                f"{'' if row % 3 else f'Subfamily {species % 1_542}'},{'' if genus is None else f'Genus{genus}'},"
                f"{f'Genus{genus} species{species}' if labelled else ''}"
            )
            file.write(
                f"{key},BIOUG{row:07d}-A01,Genus{species},{ranks},BOLD:AA{row * 17 % BINS:06d},"
                f"{barcodes[row % BARCODES]},Canada,Ontario,{40 + row % 1000 / 100},{-80 + row % 999 / 50},"
                f"{row % 90_000},{row % 10_000 / 10_000},{1 + row % 5_000 / 1_000},{row % 5},{split},"
                f"{row if row % 5 == 0 else ''},{chunk_of(key, split)}\n"
            )


if __name__ == "__main__":
    main()
