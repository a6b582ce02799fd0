"""What is written outlasts a power cut: every file is synced before the root document says that it is there."""

import os
from pathlib import Path

import pytest

import arraystore
from arraystore.testing import make_bioscan5m


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the name of an open file is asked of /proc")
def test_every_file_is_synced_before_the_root_and_those_of_the_core_not_again(tmp_path, monkeypatch):
    package, path = make_bioscan5m(tmp_path, n=8, distinct=2), tmp_path / "s.zarr"
    synced, fsync = [], os.fsync

    def recorded(descriptor):
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recorded)
    arraystore.ingest(package.sources(), path)
    files = {file for file in path.rglob("*") if file.is_file()}
    by_core = {file for group in ("image", "dna_barcode", "key") for file in path.glob(f"{group}/*/c/*")}
    by_python = [file for file in synced if file in files]
    assert len(by_core) > 10
    assert set(by_python) == files - by_core - {path / "zarr.json"}
    assert len(set(by_python)) == len(by_python)
    directories = {directory for file in files for directory in file.parents if directory.is_relative_to(tmp_path)}
    assert {*directories} - {tmp_path} <= set(synced)
    # The root has its temporary name while it is synced, and only its directory follows.
    assert synced[-2:] == [path / "zarr.json.tmp", path]
