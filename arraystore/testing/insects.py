"""Drawings of imaginary insects under a microscope, each a pure function of its seed."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from arraystore.testing.pillow import require_pillow

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

__all__ = ["ORDERS", "draw_insect"]

ORDERS = ("Diptera", "Hymenoptera", "Coleoptera", "Lepidoptera", "Hemiptera")

# Drawn at twice the size and averaged down: the cheapest antialiasing that looks good at 256 pixels.
SUPERSAMPLING = 2

_Points = npt.NDArray[np.float64]
_Colour = tuple[int, int, int]

# Body colours seen on real trays: black, brown, rust, straw, olive, steel.
_BODIES = ((38, 32, 30), (74, 50, 34), (128, 70, 38), (172, 142, 76), (92, 88, 52), (52, 60, 72))
_LIGHT = np.array([-0.35, -0.6])


@dataclass(frozen=True)
class _Plan:
    """Proportions of one order, in units of half a body length."""

    abdomen: tuple[float, float]
    thorax: tuple[float, float]
    head: tuple[float, float]
    waist: float
    antenna: float
    eye: float
    wings: int
    wing: tuple[float, float]
    opaque: bool


_PLANS = {
    "Diptera": _Plan((0.48, 0.21), (0.27, 0.24), (0.14, 0.19), 0.02, 0.22, 0.11, 1, (0.95, 0.27), False),
    "Hymenoptera": _Plan((0.46, 0.18), (0.27, 0.17), (0.13, 0.15), 0.16, 0.75, 0.07, 2, (0.82, 0.20), False),
    "Coleoptera": _Plan((0.60, 0.36), (0.22, 0.30), (0.14, 0.17), -0.06, 0.42, 0.05, 0, (0.0, 0.0), True),
    "Lepidoptera": _Plan((0.50, 0.13), (0.22, 0.15), (0.11, 0.12), 0.0, 0.62, 0.06, 2, (0.98, 0.44), True),
    "Hemiptera": _Plan((0.58, 0.25), (0.24, 0.24), (0.16, 0.15), -0.05, 0.60, 0.06, 1, (0.78, 0.19), False),
}


class _Pen:
    """Draws in the frame of a body: x along its axis, the head at positive x."""

    def __init__(self, draw: ImageDraw.ImageDraw, centre: _Points, angle: float, unit: float) -> None:
        cosine, sine = np.cos(angle), np.sin(angle)
        self._draw = draw
        self._centre = centre
        self._matrix = unit * np.array([[cosine, sine], [-sine, cosine]])
        self._unit = unit
        # The light stands still while the insect turns, so it is turned back into the body's frame.
        self._light = _LIGHT @ np.linalg.inv(self._matrix) * unit

    def _place(self, points: _Points) -> list[float]:
        placed: list[float] = (points @ self._matrix + self._centre).ravel().tolist()
        return placed

    def polygon(self, points: _Points, colour: _Colour, alpha: int = 255) -> None:
        self._draw.polygon(self._place(points), fill=(*colour, alpha))

    def line(self, points: _Points, colour: _Colour, width: float, alpha: int = 255) -> None:
        pixels = max(1, round(width * self._unit))
        self._draw.line(self._place(points), fill=(*colour, alpha), width=pixels, joint="curve")

    def blob(self, outline: _Points, colour: _Colour, gloss: float) -> None:
        """Fill an outline with a few shrinking copies towards the light, which makes it look round."""
        middle = outline.mean(axis=0)
        reach = float(np.abs(outline - middle).min(axis=0).max() + np.ptp(outline, axis=0).min()) * 0.13
        for step in range(5):
            share = step / 5
            shrunk = middle + (outline - middle) * (1 - 0.85 * share) + self._light * reach * share
            self.polygon(shrunk, _lighten(colour, gloss * share * share))


def _lighten(colour: _Colour, amount: float) -> _Colour:
    """Mix with white (positive amounts) or black (negative ones)."""
    target = 255.0 if amount > 0 else 0.0
    red, green, blue = (round(value + (target - value) * abs(amount)) for value in colour)
    return red, green, blue


def _ellipse(centre: tuple[float, float], radii: tuple[float, float], taper: float = 0.0) -> _Points:
    """Outline of an ellipse; a positive taper narrows its end at negative x."""
    turn = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    x = np.cos(turn)
    y = np.sin(turn) * (1 + taper * x)
    return np.stack([centre[0] + radii[0] * x, centre[1] + radii[1] * y], axis=1)


def _wing(root: tuple[float, float], length: float, breadth: float, angle: float) -> _Points:
    """Outline of a wing from its root outwards: a teardrop with a straighter leading edge."""
    along = np.linspace(0, 1, 22)
    lead = breadth * 0.35 * np.sqrt(along) * np.sqrt(1 - along**4)
    trail = -breadth * 1.1 * along**0.8 * np.sqrt(1 - along**3)
    points = np.concatenate([np.stack([along * length, lead], axis=1), np.stack([along * length, trail], axis=1)[::-1]])
    placed: _Points = _turn(points, angle) + np.array(root)
    return placed


def _turn(points: _Points, angle: float) -> _Points:
    cosine, sine = np.cos(angle), np.sin(angle)
    turned: _Points = points @ np.array([[cosine, sine], [-sine, cosine]])
    return turned


def _draw_legs(pen: _Pen, plan: _Plan, colour: _Colour, rng: np.random.Generator) -> None:
    for side in (-1.0, 1.0):
        for pair, lean in enumerate((0.9, -0.15, -1.0)):
            hip = np.array([0.30 - 0.13 * pair, side * plan.thorax[1] * 0.7])
            reach = rng.uniform(0.30, 0.42) * (1.15 if pair == 2 else 1.0)
            angle = side * (np.pi / 2) - side * (lean + rng.normal(0, 0.25)) * 0.8
            knee = hip + reach * np.array([np.cos(angle), np.sin(angle)])
            bend = angle - side * rng.uniform(-0.2, 1.0) * np.sign(lean)
            ankle = knee + reach * np.array([np.cos(bend), np.sin(bend)])
            bend += side * rng.uniform(0.1, 0.6) * np.sign(lean)
            toe = ankle + 0.6 * reach * np.array([np.cos(bend), np.sin(bend)])
            pen.line(np.stack([hip, knee]), colour, 0.050)
            pen.line(np.stack([knee, ankle]), _lighten(colour, 0.08), 0.032)
            pen.line(np.stack([ankle, toe]), _lighten(colour, 0.15), 0.018)


def _draw_antennae(pen: _Pen, plan: _Plan, colour: _Colour, rng: np.random.Generator) -> None:
    along = np.linspace(0, 1, 12)
    for side in (-1.0, 1.0):
        curl = rng.uniform(0.1, 0.7)
        x = 0.46 + plan.head[0] + plan.antenna * along * np.cos(curl * along)
        y = side * (0.05 + plan.antenna * (0.35 * along + curl * 0.5 * along**2))
        pen.line(np.stack([x, y], axis=1), colour, 0.022)


def _draw_wings(pen: _Pen, plan: _Plan, body: _Colour, rng: np.random.Generator) -> None:
    spread = rng.uniform(0.3, 1.3) if not plan.opaque else rng.uniform(0.9, 1.35)
    membrane = _lighten(body, 0.35) if plan.opaque else (176, 172, 160)
    for index in reversed(range(plan.wings)):
        length, breadth = plan.wing[0] * (1 - 0.22 * index), plan.wing[1] * (1 - 0.05 * index)
        for side in (-1.0, 1.0):
            open_by = (spread - 0.45 * index) + rng.normal(0, 0.06)
            outline = _wing((0.0, 0.0), length, breadth, 0.0)
            veins = [
                np.array([[0.0, 0.0], [length * far, breadth * rise]])
                for far, rise in ((0.93, 0.08), (0.9, -0.3), (0.72, -0.72), (0.45, -0.8))
            ]
            # Mirrored for the other side, and laid back along the body before it is opened.
            mirror = np.array([1.0, -side])
            root = np.array([0.28 - 0.10 * index, side * plan.thorax[1] * 0.5])
            angle = side * (np.pi - open_by)
            placed = _turn(outline * mirror * np.array([1.0, -1.0]), angle) + root
            pen.polygon(placed, membrane, 235 if plan.opaque else 88)
            pen.line(placed, _lighten(membrane, -0.45), 0.010, 150)
            for vein in veins:
                placed_vein = _turn(vein * mirror * np.array([1.0, -1.0]), angle) + root
                pen.line(placed_vein, _lighten(membrane, -0.45), 0.011, 150)


def _draw_body(pen: _Pen, plan: _Plan, body: _Colour, rng: np.random.Generator) -> None:
    gloss = float(rng.uniform(0.25, 0.5))
    back = 0.10 - plan.waist
    if plan.waist > 0.05:
        pen.line(np.array([[0.1, 0.0], [back - 0.1, 0.0]]), body, 0.06)
    abdomen = _ellipse((back - plan.abdomen[0], 0.0), plan.abdomen, 0.3)
    accent = _lighten(body, float(rng.uniform(-0.35, 0.3)))
    pen.blob(abdomen, accent, gloss)
    if plan.wings:
        for ring in np.linspace(0.25, 1.75, 6):
            half = plan.abdomen[1] * np.sqrt(max(0.0, 1 - (ring - 1) ** 2)) * (1 - 0.3 * (ring - 1)) * 0.96
            across = np.linspace(-half, half, 7)
            bow = back - plan.abdomen[0] * ring - 0.03 * (1 - (across / max(half, 1e-6)) ** 2)
            pen.line(np.stack([bow, across], axis=1), _lighten(accent, -0.4), 0.022, 150)
    else:
        pen.line(np.array([[back, 0.0], [back - 1.9 * plan.abdomen[0], 0.0]]), _lighten(accent, -0.6), 0.016)
        for spot in rng.uniform(-1, 1, (int(rng.integers(0, 5)), 2)):
            for side in (-1.0, 1.0):
                place = (back - plan.abdomen[0] * (1 + 0.6 * spot[0]), side * plan.abdomen[1] * (0.5 + 0.15 * spot[1]))
                pen.polygon(_ellipse(place, (0.07, 0.06)), _lighten(accent, -0.5), 200)
    pen.blob(_ellipse((0.27, 0.0), plan.thorax), body, gloss)
    pen.blob(_ellipse((0.30 + plan.thorax[0] + plan.head[0] * 0.6, 0.0), plan.head), _lighten(body, -0.15), gloss)
    eye = (120, 34, 24) if rng.random() < 0.3 else (26, 20, 20)
    for side in (-1.0, 1.0):
        place = (0.33 + plan.thorax[0] + plan.head[0] * 0.6, side * plan.head[1] * 0.72)
        pen.blob(_ellipse(place, (plan.eye, plan.eye * 0.85)), eye, 0.6)


@functools.cache
def _grain() -> npt.NDArray[np.float32]:
    """One field of sensor noise; each picture uses another window of it."""
    return np.random.default_rng(20).normal(0, 1.6, (640, 960, 1)).astype(np.float32)


def _tray(height: int, width: int, rng: np.random.Generator) -> Image.Image:
    """Paint the light-grey well of a tray: a tint, a soft glow and the faint rings of its floor."""
    image_module = require_pillow()
    small = (max(2, height // 8), max(2, width // 8))
    y, x = np.mgrid[0 : small[0], 0 : small[1]] / max(small) - rng.uniform(0.25, 0.5, 2)[:, None, None]
    distance = np.hypot(x, y)
    rings = np.sin(distance * rng.uniform(14, 26) + rng.uniform(0, 6)) * np.exp(-3 * distance)
    glow = rng.uniform(196, 212) + 5 * rings - 30 * distance**2 + 10 * (x * rng.uniform(-1, 1) + y * rng.uniform(-1, 1))
    tint = np.array([rng.uniform(-5, 0), 0.0, rng.uniform(-1, 6)])
    pixels = np.clip(glow[:, :, None] + tint, 0, 255).astype(np.uint8)
    tray: Image.Image = image_module.fromarray(pixels).resize((width, height), image_module.Resampling.BICUBIC)
    return tray


def _scratches(draw: ImageDraw.ImageDraw, height: int, width: int, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(1, 5))):
        start = rng.uniform(0, [width, height])
        end = start + rng.normal(0, 0.2 * height, 2)
        draw.line([*start.tolist(), *end.tolist()], fill=(235, 238, 240, 70), width=SUPERSAMPLING)


def draw_insect(
    seed: int | tuple[int, ...], *, order: str | None = None, height: int = 256, width: int = 320
) -> Image.Image:
    """Draw one insect on its tray.

    Parameters
    ----------
    seed : int or tuple of int
        Everything about the picture follows from it.
    order : str, optional
        One of `ORDERS`; drawn from the seed if not given.
    height, width : int
        Size in pixels.

    Returns
    -------
    PIL.Image.Image
        In mode RGB.

    Raises
    ------
    ImportError
        If Pillow is not installed.

    Examples
    --------
    >>> draw_insect(7, order="Diptera").size
    (320, 256)
    """
    image_module = require_pillow()
    from PIL import ImageDraw

    rng = np.random.default_rng(seed)
    plan = _PLANS[order or ORDERS[int(rng.integers(len(ORDERS)))]]
    large = (height * SUPERSAMPLING, width * SUPERSAMPLING)
    canvas = _tray(*large, rng)
    draw = ImageDraw.Draw(canvas, "RGBA")
    _scratches(draw, *large, rng)
    body = _lighten(_BODIES[int(rng.integers(len(_BODIES)))], float(rng.uniform(-0.2, 0.15)))
    centre = np.array([large[1] / 2, large[0] / 2]) + rng.normal(0, 0.04 * large[0], 2)
    unit = large[0] * float(rng.uniform(0.33, 0.43))
    pen = _Pen(draw, centre, float(rng.uniform(0, 2 * np.pi)), unit)
    pale = _lighten(body, 0.12)
    _draw_legs(pen, plan, pale, rng)
    _draw_antennae(pen, plan, pale, rng)
    if not plan.opaque:
        _draw_body(pen, plan, body, rng)
    _draw_wings(pen, plan, body, rng)
    if plan.opaque:
        _draw_body(pen, plan, body, rng)
    reduced = canvas.reduce(SUPERSAMPLING)
    return _add_grain(image_module, reduced, rng)


def _add_grain(image_module: Any, picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    pixels = np.asarray(picture, dtype=np.float32)
    height, width = pixels.shape[:2]
    grain = _grain()
    top, left = (int(rng.integers(size)) for size in grain.shape[:2])
    noise = np.take(
        np.take(grain, np.arange(top, top + height), 0, mode="wrap"), np.arange(left, left + width), 1, mode="wrap"
    )
    noisy: Image.Image = image_module.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))
    return noisy
