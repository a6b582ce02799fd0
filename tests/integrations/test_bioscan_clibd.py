"""CLIBD's partitioning in `BIOSCAN1M`: text files with the samples of each split."""

import pickle
import shutil

import pytest

from arraystore.errors import DatasetNotFoundError
from arraystore.integrations.bioscan import BIOSCAN1M
from arraystore.testing.packages import make_bioscan1m


@pytest.fixture
def clibd_root(tmp_path):
    """BIOSCAN-1M with CLIBD's text files, one of which names a sample that is not there."""
    made = make_bioscan1m(tmp_path, 12, distinct=1)
    samples = [line.split("\t")[0] for line in made.metadata.read_text(encoding="utf-8").splitlines()[1:]]
    folder = tmp_path / "bioscan1m/CLIBD_partitioning"
    folder.mkdir()
    names = ["no_split", "train_seen", "seen_keys", "single_species", "val_seen", "val_unseen", "val_unseen_keys"]
    for number, name in enumerate([*names, "test_seen", "test_unseen", "test_unseen_keys"]):
        lines = samples[number::10]
        (folder / f"{name}.txt").write_text("\n".join([*lines[::-1], "GONE-A01"] if name == "no_split" else lines))
    return tmp_path, samples


def test_samples_of_a_file_that_the_table_lacks_are_left_out(clibd_root):
    root, samples = clibd_root
    dataset = BIOSCAN1M(root, "no_split", "clibd", modality=["sampleid", "image"])
    assert [sample for sample, *_ in dataset] == [samples[10], samples[0]]


def test_clibd_needs_its_files_and_each_sample_in_one_of_them(clibd_root):
    root, samples = clibd_root
    folder = root / "bioscan1m/CLIBD_partitioning"
    (folder / "val_seen.txt").write_text("")
    assert len(BIOSCAN1M(root, "train", "clibd")) == 2
    # The experiments as well: each row has a split of CLIBD, which may be asked for.
    for arguments in (("all", "clibd"), ("train",), ("all", "small_diptera_family")):
        with pytest.raises(RuntimeError, match=f"1 samples of the table are in none of .*, such as '{samples[4]}'"):
            BIOSCAN1M(root, *arguments)
    (folder / "val_seen.txt").write_text("\n".join([samples[4], samples[1]]))
    with pytest.raises(RuntimeError, match=f"'{samples[1]}' is in train_seen.txt and in val_seen.txt"):
        BIOSCAN1M(root)
    moved = folder.rename(root / "elsewhere")
    with pytest.raises(DatasetNotFoundError, match="CLIBD_partitioning"):
        BIOSCAN1M(root, "train", "clibd")
    assert len(BIOSCAN1M(root, "train", "clibd", clibd_partitioning_path=moved)) == 2
    with pytest.raises(DatasetNotFoundError, match="nowhere"):
        BIOSCAN1M(root, clibd_partitioning_path=root / "nowhere")


def test_a_view_needs_the_splits_of_its_own_samples(clibd_root):
    root, samples = clibd_root
    (root / "bioscan1m/CLIBD_partitioning/val_seen.txt").write_text("")
    folder, store = root / "bioscan1m/CLIBD_partitioning", BIOSCAN1M(root, "train", "clibd").store
    few = BIOSCAN1M(
        store.select(sampleid=samples[5:9]), "all", modality=["sampleid", "clibd_split"], clibd_partitioning_path=folder
    )
    assert [item[0] for item in few] == samples[5:9]
    assert [item[1] for item in few] == ["val_unseen", "val_unseen_keys", "test_seen", "test_unseen"]


def test_files_of_clibd_are_read_once(clibd_root):
    root, _ = clibd_root
    datasets = [BIOSCAN1M(root, "all", modality=["clibd_split"]), BIOSCAN1M(root, "no_split", "clibd", "clibd_split")]
    expected = [list(dataset) for dataset in datasets]
    assert [item[0] for item in expected[0]][:2] == ["no_split", "train_seen"]
    shutil.rmtree(root / "bioscan1m/CLIBD_partitioning")
    assert [list(dataset) for dataset in datasets] == expected
    assert [list(dataset) for dataset in pickle.loads(pickle.dumps(datasets))] == expected


def test_without_files_of_clibd_no_column_is_called_after_it(clibd_root):
    root, _ = clibd_root
    (root / "bioscan1m/CLIBD_partitioning").rename(root / "elsewhere")
    with pytest.raises(ValueError, match="Unfamiliar modality: 'clibd_split'"):
        BIOSCAN1M(root, modality="clibd_split")[0]
    with pytest.raises(KeyError, match="no target 'clibd_split'"):
        BIOSCAN1M(root, modality="dna", target_type="clibd_split", target_format="text")[0]


def test_a_folder_that_is_not_whole_is_passed_over_where_bioscan_dataset_does_not_look(clibd_root):
    root, _ = clibd_root
    folder = (root / "bioscan1m/CLIBD_partitioning").rename(root / "CLIBD_partitioning")
    assert BIOSCAN1M(root, modality="clibd_split")[0]
    (folder / "val_seen.txt").unlink()
    assert len(BIOSCAN1M(root, "all", modality="dna"))
    with pytest.raises(ValueError, match="Unfamiliar modality: 'clibd_split'"):
        BIOSCAN1M(root, modality="clibd_split")[0]
    with pytest.raises(DatasetNotFoundError, match=r"val_seen\.txt is missing"):
        BIOSCAN1M(root, "all", "clibd")
    folder.rename(root / "bioscan1m/CLIBD_partitioning")
    with pytest.raises(DatasetNotFoundError, match=r"val_seen\.txt is missing"):
        BIOSCAN1M(root)
