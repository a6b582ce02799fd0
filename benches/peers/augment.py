"""Decode, random resized crop and flip with simplejpeg and OpenCV, for peers that bring no decoder of their own."""

from __future__ import annotations

import math
import random

import numpy as np

from peers import Task


def random_box(height: int, width: int) -> tuple[int, int, int, int]:
    """Draw `(top, left, height, width)` as RandomResizedCrop of torchvision does, with scale (0.08, 1)."""
    for _ in range(10):
        area = height * width * random.uniform(0.08, 1.0)
        ratio = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return random.randint(0, height - h), random.randint(0, width - w), h, w
    side = min(height, width)
    return (height - side) // 2, (width - side) // 2, side, side


class Augment:
    """Writes the crop of one JPEG into its place in a batch. Thread-safe; the libraries let go of the interpreter."""

    def __init__(self, task: Task) -> None:
        import cv2
        import simplejpeg

        cv2.setNumThreads(1)
        self.cv2, self.decode, self.task = cv2, simplejpeg.decode_jpeg, task
        self.scale = (1 / (255 * np.array(task.std, np.float32))).reshape(3, 1, 1)
        self.shift = (-np.array(task.mean, np.float32) / np.array(task.std, np.float32)).reshape(3, 1, 1)

    def batch(self, count: int) -> np.ndarray:
        size = self.task.size
        if self.task.is_float:
            return np.empty((count, 3, size, size), np.float32)
        return np.empty((count, size, size, 3), np.uint8)

    def __call__(self, jpeg: bytes, place: np.ndarray) -> None:
        image = self.decode(jpeg)
        top, left, height, width = random_box(*image.shape[:2])
        size = (self.task.size, self.task.size)
        image = image[top : top + height, left : left + width]
        image = self.cv2.resize(image, size, interpolation=self.cv2.INTER_LINEAR)
        if random.random() < 0.5:
            image = image[:, ::-1]
        if self.task.is_float:
            np.multiply(image.transpose(2, 0, 1), self.scale, out=place)
            place += self.shift
        else:
            place[:] = image


def shuffled(task: Task, epoch: int) -> list[np.ndarray]:
    """The rows of each batch of an epoch."""
    rows = np.random.default_rng(epoch).permutation(task.count)
    return [rows[start : start + task.batch_rows] for start in range(0, task.count, task.batch_rows)]
