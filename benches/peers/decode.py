"""Decoders of whole JPEGs, one thread: from bytes in memory, those of arraystore from its store, checksums compared."""

from __future__ import annotations

import importlib
import io
import os

import numpy as np

from peers import NotInstalledError, Task, peer

WORK = "decode/full/one thread"


@peer(WORK, name="arraystore, store.read", needs=["arraystore"], settings="threads=1")
def arraystore_read(task: Task):
    arraystore = importlib.import_module("arraystore")
    store = arraystore.open(task.store)
    return lambda rows: store.read(rows, threads=1)


@peer(WORK, name="arraystore, store[i]", needs=["arraystore"], settings="one call an image")
def arraystore_one(task: Task):
    arraystore = importlib.import_module("arraystore")
    store = arraystore.open(task.store)
    return lambda rows: [store[row] for row in rows]


@peer(WORK, name="simplejpeg", needs=["simplejpeg"], settings="decode_jpeg")
def simplejpeg_decode(task: Task):
    import simplejpeg

    jpegs = task.items
    return lambda rows: [simplejpeg.decode_jpeg(jpegs[row]) for row in rows]


@peer(WORK, name="PyTurboJPEG", needs=["turbojpeg"], settings="one handle; the system's libturbojpeg, or TURBOJPEG")
def pyturbojpeg(task: Task):
    import turbojpeg

    try:
        decoder, jpegs = turbojpeg.TurboJPEG(os.environ.get("TURBOJPEG")), task.items
    except RuntimeError as error:
        raise NotInstalledError("no libturbojpeg") from error
    return lambda rows: [decoder.decode(jpegs[row], pixel_format=turbojpeg.TJPF_RGB) for row in rows]


@peer(WORK, name="imagecodecs", needs=["imagecodecs"], settings="jpeg8_decode")
def imagecodecs_decode(task: Task):
    import imagecodecs

    jpegs = task.items
    return lambda rows: [imagecodecs.jpeg8_decode(jpegs[row]) for row in rows]


@peer(WORK, name="OpenCV", needs=["cv2"], settings="IMREAD_COLOR_RGB, setNumThreads(1)")
def opencv(task: Task):
    import cv2

    cv2.setNumThreads(1)
    jpegs = task.items
    return lambda rows: [cv2.imdecode(np.frombuffer(jpegs[row], np.uint8), cv2.IMREAD_COLOR_RGB) for row in rows]


@peer(WORK, name="torchvision", needs=["torch", "torchvision.io"], settings="decode_jpeg, set_num_threads(1)")
def torchvision(task: Task):
    import torch
    from torchvision.io import ImageReadMode, decode_jpeg

    torch.set_num_threads(1)
    jpegs = task.items

    def decode(row: int) -> torch.Tensor:
        # frombuffer wants memory that may be written to.
        data = torch.frombuffer(bytearray(jpegs[row]), dtype=torch.uint8)
        # A view: the values of a pixel lie side by side, as libjpeg-turbo wrote them.
        return decode_jpeg(data, mode=ImageReadMode.RGB).permute(1, 2, 0)

    return lambda rows: [decode(row) for row in rows]


@peer(WORK, name="Pillow", needs=["PIL.Image", "PIL.JpegImagePlugin"], settings="as an array")
def pillow(task: Task):
    from PIL import Image

    jpegs = task.items
    return lambda rows: [np.asarray(Image.open(io.BytesIO(jpegs[row])).convert("RGB")) for row in rows]
