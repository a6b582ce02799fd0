"""The command line as a user meets it: output, files, exit codes."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import arraystore
from arraystore.cli import main
from arraystore.testing import make_bioscan5m

COMMANDS = ["ingest", "append", "merge", "export", "info", "get", "verify", "demo", "bench"]


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return make_bioscan5m(tmp_path_factory.mktemp("package"), n=24, distinct=4)


@pytest.fixture(scope="module")
def store(package, tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "cropped_256.zarr"
    assert main(["ingest", *map(str, package.sources()), "-o", str(path), "--quiet"]) == 0
    return path


def test_a_store_in_hdf5_is_made_shown_read_and_checked(package, store, tmp_path, capsysbinary):
    path = tmp_path / "cropped_256.h5"
    assert main(["ingest", *map(str, package.sources()), "-o", str(path), "--quiet"]) == 0
    assert path.is_file()
    with arraystore.open(store) as twin:
        key, jpeg = twin.keys[3], twin.jpeg(3)
    capsysbinary.readouterr()
    assert main(["get", str(path), key, "-o", "-"]) == 0
    assert capsysbinary.readouterr().out == jpeg
    assert main(["info", str(path)]) == 0
    assert b"24 by processid" in capsysbinary.readouterr().out
    assert main(["verify", str(path), "--quiet"]) == 0


def failure(arguments, capsys) -> str:
    assert main(list(map(str, arguments))) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("arraystore: error: ")
    assert "Traceback" not in captured.err
    return captured.err


@pytest.mark.parametrize("path", ["columns/split", "columns/split/zarr.json", "columns/split/codes/c/0"])
def test_a_damaged_column_is_one_line_that_says_what_to_do(store, tmp_path, capsys, path):
    damaged = Path(shutil.copytree(store, tmp_path / "s.zarr"))
    shutil.rmtree(damaged / path) if (damaged / path).is_dir() else (damaged / path).write_bytes(b"{")
    message = failure(["info", damaged], capsys)
    assert "columns/split" in message
    assert "arraystore verify" in message


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples(command, capsys):
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert f"arraystore {command}" in capsys.readouterr().out.split("examples:")[1]


@pytest.mark.parametrize("arguments", [[], ["fly"], ["ingest", "x"], ["ingest", "x", "-o", "y", "--check", "smell"]])
def test_wrong_usage_is_exit_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: arraystore" in capsys.readouterr().err


def test_python_m_runs_the_command():
    done = subprocess.run([sys.executable, "-m", "arraystore", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("arraystore ")


def test_ingest_prints_a_summary_and_plain_progress(package, tmp_path, capsys):
    assert main(["ingest", *map(str, package.sources()), "-o", str(tmp_path / "s.zarr")]) == 0
    captured = capsys.readouterr()
    assert "24 images of cropped_256" in captured.out
    assert "images/s" in captured.out
    assert "images: 24 of 24 images" in captured.err
    assert f"metadata from {package.metadata}" in captured.out
    assert main(["ingest", *map(str, package.sources()), "-o", str(tmp_path / "s.zarr")]) == 0
    assert "complete already" in capsys.readouterr().out


def test_quiet_ingest_prints_the_summary_alone(package, tmp_path, capsys):
    assert main(["ingest", *map(str, package.sources()), "-o", str(tmp_path / "s.zarr"), "--quiet"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "24 images" in captured.out


def test_troubles_are_exit_code_3_and_json_tells_them(package, tmp_path, capsys):
    source = tmp_path / "cropped_256/val"
    source.mkdir(parents=True)
    (source / "A-1.jpg").write_bytes(b"no jpeg")
    arguments = ["ingest", str(source), "-o", str(tmp_path / "s.zarr"), "--json", "--quiet"]
    for state in ("new", "complete"):
        assert main(arguments) == 3
        report = json.loads(capsys.readouterr().out)
        assert report["troubles"] == {"not-a-jpeg": 1}
        assert report["state"] == state
        assert Path(report["troubles_path"]).read_text().startswith("kind,key,row,source,detail\nnot-a-jpeg,A-1,0,")


def test_info_tells_package_splits_and_status(store, capsys):
    assert main(["info", str(store)]) == 0
    text = capsys.readouterr().out
    for part in ["cropped_256", "24", "sound", "pretrain", "format 1"]:
        assert part in text
    assert main(["info", str(store), "--json"]) == 0
    info = json.loads(capsys.readouterr().out)
    assert (info["records"], info["package"], sum(info["splits"].values())) == (24, "cropped_256", 24)


def test_get_writes_the_original_bytes(store, package, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    key = package.keys[5]
    expected = package.jpegs["cropped_256"][key]
    assert main(["get", str(store), key]) == 0
    assert (tmp_path / f"{key}.jpg").read_bytes() == expected
    assert main(["get", str(store), "5", "-o", "row.jpg"]) == 0
    assert (tmp_path / "row.jpg").read_bytes() == expected
    command = [sys.executable, "-m", "arraystore", "get", str(store), key, "-o", "-"]
    assert subprocess.run(command, capture_output=True, check=True).stdout == expected


def test_get_of_an_unknown_key_or_row_names_it(store, capsys):
    advice = failure(["get", store, "NOPE-1"], capsys)
    with arraystore.open(store) as opened:
        assert f"'NOPE-1'; its keys look like '{opened.keys[0]}'; see `arraystore info {store}`" in advice
    assert "9999" in failure(["get", store, "9999"], capsys)


def test_verify_says_whether_the_store_is_sound(store, tmp_path, capsys):
    assert main(["verify", str(store), "--quiet"]) == 0
    assert "is sound" in capsys.readouterr().out
    (store / "stray").write_bytes(b"")
    try:
        assert main(["verify", str(store), "--quiet", "--json"]) == 1
        report = json.loads(capsys.readouterr().out)
        assert (report["ok"], report["problems"][0]["place"]) == (False, "stray")
    finally:
        (store / "stray").unlink()


def test_errors_are_one_line(tmp_path, capsys):
    assert "none.zarr" in failure(["info", tmp_path / "none.zarr"], capsys)
    assert "none.zip" in failure(["ingest", tmp_path / "none.zip", "-o", tmp_path / "s.zarr"], capsys)
    assert "neither an arraystore" in failure(["verify", tmp_path], capsys)
    (tmp_path / "u.zarr/.ingest").mkdir(parents=True)
    assert "run the same ingest command again" in failure(["info", tmp_path / "u.zarr"], capsys)


def test_file_that_is_missing_is_named_alike_by_core_and_python(store, package, tmp_path, capsys):
    source, missing = package.sources()[0], tmp_path / "none"
    for arguments in (
        ["ingest", missing, "-o", tmp_path / "s.zarr"],
        ["ingest", source, "-o", tmp_path / "s.zarr", "--metadata", missing],
    ):
        assert failure([*arguments, "--quiet"], capsys) == f"arraystore: error: No such file or directory: {missing}\n"


@pytest.mark.parametrize("number", ["0", "-1", "99999999999999999999999"])
def test_impossible_number_of_workers_is_one_line_with_advice(store, package, tmp_path, capsys, number):
    ingest = ["ingest", *package.sources(), "-o", tmp_path / "s.zarr", "--quiet"]
    for command in (["verify", store, "--quiet"], ingest):
        message = failure([*command, "--workers", number], capsys)
        assert f"workers={number}: expected a whole number of threads from 1 to 1,024; leave workers away" in message
    assert not (tmp_path / "s.zarr").exists()


def test_debug_shows_the_traceback(tmp_path, monkeypatch):
    monkeypatch.setenv("ARRAYSTORE_DEBUG", "1")
    with pytest.raises(FileNotFoundError):
        main(["info", str(tmp_path / "none.zarr")])


def test_interruption_is_130_and_says_how_to_go_on(package, tmp_path, monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("arraystore.ingestion.package.make_plan", interrupt)
    assert main(["ingest", *map(str, package.sources()), "-o", str(tmp_path / "s.zarr"), "--quiet"]) == 130
    assert capsys.readouterr().err.strip() == "arraystore: interrupted; run the same command again to finish"


def test_command_line_starts_quickly():
    code = "import sys, arraystore.cli; print(sorted({'numpy', 'zarr', 'pandas', 'tqdm'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_sources_are_shown_read_and_verified_as_stores_are(package, tmp_path, capsys):
    (folder,) = package.sources()
    assert main(["info", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "as it is" in shown
    key = package.keys[0]
    assert main(["get", str(folder), key, "-o", str(tmp_path / "x.jpg")]) == 0
    assert (tmp_path / "x.jpg").read_bytes() == package.jpegs["cropped_256"][key]
    capsys.readouterr()
    assert main(["verify", str(folder), "--quiet"]) == 0
    assert "nothing to compare them with" in capsys.readouterr().out
