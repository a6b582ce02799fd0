"""Loaders of shuffled epochs on PyTorch: each decodes in the workers of a DataLoader, one for each core, but FFCV.

FFCV decodes in threads of one process, by code that it compiles in the first batch.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from peers import Task, peer
from peers.access import file_names
from peers.loaders import WORKS

TORCH = ("torch", "torchvision.transforms.v2", "PIL.Image", "PIL.JpegImagePlugin")
Epoch = Callable[[int], Iterator[tuple[np.ndarray, np.ndarray]]]


def transform(task: Task) -> Callable[[Any], Any]:
    """Make the transform of a PIL image or a tensor that is a crop as a tensor."""
    import torch
    from torchvision.transforms import v2

    torch.set_num_threads(1)
    # An image of Pillow becomes a tensor only as a crop: that is less to convert.
    steps = [v2.RandomResizedCrop(task.size, antialias=True), v2.RandomHorizontalFlip(), v2.ToImage()]
    if task.is_float:
        steps += [v2.ToDtype(torch.float32, scale=True), v2.Normalize(task.mean, task.std)]
    return v2.Compose([*steps, v2.ToPureTensor()])


def crop_of(cut: Callable[[Any], Any], jpeg: bytes) -> Any:
    from PIL import Image

    return cut(Image.open(io.BytesIO(jpeg)).convert("RGB"))


def crop_and_row(cut: Callable[[Any], Any], found: dict[str, Any]) -> tuple[Any, int]:
    return crop_of(cut, found["jpeg"]), found["row"]


def options(task: Task) -> dict[str, Any]:
    """Those of a DataLoader: workers stay from epoch to epoch."""
    return {"num_workers": task.threads, "persistent_workers": True, "prefetch_factor": 2}


def epochs(loader: Any) -> Epoch:
    """Iterate over what gives (images, rows) as tensors."""

    def epoch(_: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for images, rows in loader:
            yield images.numpy(), rows.numpy()

    return epoch


@peer(*WORKS, name="arraystore in a DataLoader", needs=["arraystore", "torch"], settings="integrations.torch.Dataset")
def arraystore_dataset(task: Task) -> Epoch:
    from torch.utils.data import DataLoader

    import arraystore
    from arraystore.integrations.torch import Dataset, collate

    # Where bytes are asked for, channels stand last in memory, as the core writes them fastest.
    form = {"dtype": "float32", "mean": task.mean, "std": task.std} if task.is_float else {"layout": "channels_last"}
    dataset = Dataset(arraystore.open(task.store), size=task.size, flip=0.5, **form)
    loader = DataLoader(dataset, task.batch_rows, shuffle=True, collate_fn=collate, **options(task))

    def epoch(number: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        dataset.set_epoch(number)
        for batch in loader:
            yield batch["image"].numpy(), batch["row"].numpy()

    return epoch


def mapped(task: Task, read: Callable[[int], Any]) -> Epoch:
    """Make a DataLoader over a function of the row."""
    from torch.utils.data import DataLoader, Dataset

    class Images(Dataset):
        def __len__(self) -> int:
            return task.count

        def __getitem__(self, row: int) -> tuple[Any, int]:
            return read(row), row

    return epochs(DataLoader(Images(), task.batch_rows, shuffle=True, **options(task)))


@peer(*WORKS, name="bioscan-dataset", needs=["bioscan_dataset", *TORCH], settings="BIOSCAN5M over files, Pillow")
def bioscan_dataset(task: Task):
    from bioscan_dataset import BIOSCAN5M

    import arraystore

    class Published(BIOSCAN5M):
        # The publisher's table has a known checksum. This one is of the rows of the store.
        def _check_integrity(self, *_: Any, **__: Any) -> bool:
            return True

    root = task.made("bioscan", lambda folder: arraystore.export(task.store, folder, form="folder", progress=False))
    (package,) = (path.name for path in (root / BIOSCAN5M.base_folder / "images").iterdir())
    given = {"split": "all", "modality": "image", "target_type": "species", "image_package": package}
    found = Published(root, transform=transform(task), **given)
    return mapped(task, lambda row: found[row][0])


@peer(*WORKS, name="torchvision", needs=["torchvision.io", *TORCH], settings="read_file, decode_jpeg, v2 on tensors")
def torchvision(task: Task):
    from torchvision.io import ImageReadMode, decode_jpeg, read_file

    names, cut = file_names(task), transform(task)
    return mapped(task, lambda row: cut(decode_jpeg(read_file(names[row]), mode=ImageReadMode.RGB)))


@peer(*WORKS, name="WebDataset", needs=["webdataset", *TORCH], settings="tars of 250, shuffle=1000, Pillow")
def web_dataset(task: Task):
    import tarfile

    import webdataset

    def write(folder: Path) -> None:
        folder.mkdir()
        for start in range(0, task.count, 250):
            with tarfile.open(folder / f"{start:08d}.tar", "w") as tar:
                for row in range(start, min(start + 250, task.count)):
                    member = tarfile.TarInfo(f"{row:08d}.jpg")
                    member.size = len(task.items[row])
                    tar.addfile(member, io.BytesIO(task.items[row]))

    shards = sorted(map(str, task.made("tars", write).glob("*.tar")))
    cut = transform(task)
    data = webdataset.WebDataset(shards, shardshuffle=len(shards), empty_check=False).shuffle(1000)
    data = data.map(lambda found: (crop_of(cut, found["jpg"]), int(found["__key__"]))).batched(task.batch_rows)
    return epochs(webdataset.WebLoader(data, batch_size=None, **options(task)))


def item_of(task: Task, row: int) -> dict[str, Any]:
    return {"jpeg": task.items[row], "row": row}


@peer(*WORKS, name="LitData", needs=["litdata", *TORCH], settings="chunks of 64 MB, shuffle, Pillow")
def litdata_streaming(task: Task):
    import litdata

    def write(folder: Path) -> None:
        item = partial(item_of, task)
        litdata.optimize(item, list(range(task.count)), str(folder), chunk_bytes="64MB", num_workers=1, verbose=False)

    crop = partial(crop_and_row, transform(task))
    data = litdata.StreamingDataset(str(task.made("litdata", write)), shuffle=True, transform=crop)
    return epochs(litdata.StreamingDataLoader(data, batch_size=task.batch_rows, **options(task)))


@peer(*WORKS, name="MosaicML streaming", needs=["streaming", *TORCH], settings="MDS, py1e, local, Pillow")
def mosaic_streaming(task: Task):
    from streaming import MDSWriter, StreamingDataset
    from torch.utils.data import DataLoader

    def write(folder: Path) -> None:
        with MDSWriter(out=str(folder), columns={"jpeg": "bytes", "row": "int"}) as out:
            for row, item in enumerate(task.items):
                out.write({"jpeg": item, "row": row})

    cut = transform(task)

    class Images(StreamingDataset):
        def __getitem__(self, at: int) -> tuple[Any, int]:
            return crop_and_row(cut, super().__getitem__(at))

    folder = task.made("mds", write)
    data = Images(local=str(folder), shuffle=True, shuffle_algo="py1e", batch_size=task.batch_rows)
    return epochs(DataLoader(data, task.batch_rows, **options(task)))


@peer(
    *WORKS,
    name="FFCV",
    needs=["ffcv", "numba", "torch", "PIL.Image"],
    settings="the JPEGs as published, order=RANDOM, os_cache; INTER_AREA, channels last",
)
def ffcv_loader(task: Task) -> Epoch:
    from ffcv import Loader
    from ffcv.fields.rgb_image import RandomResizedCropRGBImageDecoder, RGBImageField
    from ffcv.loader import OrderOption
    from ffcv.transforms import NormalizeImage, RandomHorizontalFlip, ToTensor, ToTorchImage

    path = str(task.made("images.beton", partial(write_beton, task)))
    crop: list[Any] = [RandomResizedCropRGBImageDecoder((task.size, task.size)), RandomHorizontalFlip()]
    if task.is_float:
        crop.append(NormalizeImage(255 * np.array(task.mean), 255 * np.array(task.std), np.float32))
    loader = Loader(
        path,
        task.batch_rows,
        num_workers=task.threads,
        order=OrderOption.RANDOM,
        os_cache=True,
        drop_last=False,
        pipelines={"image": [*crop, ToTensor(), ToTorchImage()]},
        custom_fields={"image": RGBImageField},
    )
    return epochs(loader)


def write_beton(task: Task, path: Path) -> None:
    """Write the file of FFCV, whose own field of images would compress their pixels again."""
    from ffcv import DatasetWriter
    from ffcv.fields import IntField
    from ffcv.fields.rgb_image import IMAGE_MODES, RGBImageField
    from PIL import Image

    class Published(RGBImageField):
        def encode(self, destination, jpeg, malloc) -> None:
            destination["mode"] = IMAGE_MODES["jpg"]
            destination["width"], destination["height"] = Image.open(io.BytesIO(jpeg)).size
            destination["data_ptr"], storage = malloc(len(jpeg))
            storage[:] = np.frombuffer(jpeg, np.uint8)

    writer = DatasetWriter(str(path), {"image": Published(), "row": IntField()}, num_workers=1)
    writer.from_indexed_dataset([(jpeg, row) for row, jpeg in enumerate(task.items)])
