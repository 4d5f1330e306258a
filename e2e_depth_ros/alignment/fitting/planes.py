"""Depth between samples, guided by the image: local planes by joint bilateral moving least squares.

Over a plane 1 / depth is affine in the pixel coordinates. So at each pixel 1 / depth is fitted as an affine
function of the place to the nearest samples, and those that look like the pixel count most: neighbours of
one colour mostly lie on one surface (Kopf et al., "Joint bilateral upsampling", 2007; Levin, "The
approximation power of moving least-squares", 1998). Where a network is asked too, its depth is part of the
looks, and the planes tell what its 1 / depth has to be multiplied by: the relief that it sees between samples
stays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.neighbours import nearest_samples, without_itself
from e2e_depth_ros.core.pixels import nearest_pixels

_Plane = NDArray[np.float32]
_BLOCK = 256  # cells at a time, as many as the cache holds


@dataclass(frozen=True)
class PlaneSettings:
    """How planes are laid. The values are round ones; those marked * were compared on a few frames."""

    # Longer edge of the grid that planes are fitted on, pixels: outlines are exact to one of them:
    grid_px: int = 160
    fine_px: int = 320  # longer edge, pixels, at which colours are looked at
    cell_px: int = 4  # of the grid, each way, that share their neighbours
    neighbours: int = 12  # samples that a plane is fitted to. *
    alike_colour: float = 15.0  # standard deviation of the weight over colour, CIE Lab of 8 bits. *
    alike_log_depth: float = 0.15  # the same over the network's log depth; 0.3 was hardly worse. *
    # Standard deviation, pixels at a width of 640, that rids colours of noise and texture:
    blur_px: float = 1.5
    unlike: float = 1e-3  # weight of neighbours that look otherwise, for where there are no others
    least_distance_px: float = 0.5  # pixels of the grid, nearer than which the place of a sample isn't known
    # On slopes, of offsets over their own spread: as if some samples voted for a level surface. *
    ridge: float = 0.1
    usual_errors: float = 2.0  # medians of the error at which a doubted sample has a quarter of its weight
    least_error: float = 0.03  # of log depth, at which it has that in any case
    most_beyond: float = 1.5  # factor by which a plane may leave what its neighbours say


_SETTINGS = PlaneSettings()


@dataclass(frozen=True, eq=False)
class Guide:
    """What tells pixels apart.

    Attributes:
        size: (H, W) of the image.
        colours: (h, w, 3), uint8, CIE Lab, smoothed and at most of `fine_px`.
        log_depth: (H, W), float32, the network's, in metres after scale and shift, NaN where it says nothing;
            None without a network.
    """

    size: tuple[int, int]
    colours: NDArray[np.uint8]
    log_depth: _Plane | None = None

    @classmethod
    def of(cls, image: NDArray[np.uint8], log_depth: _Plane | None = None) -> Guide:
        """Prepare an image (H, W, 3), RGB, and what a network says about it; NaN where it says nothing."""
        size, share = image.shape[:2], min(1.0, _SETTINGS.fine_px / max(image.shape))
        if share < 1:
            image = np.asarray(cv2.resize(image, None, fx=share, fy=share, interpolation=cv2.INTER_AREA))
        smooth = cv2.GaussianBlur(image, (0, 0), max(_SETTINGS.blur_px * image.shape[1] / 640, 0.5))
        colours = np.asarray(cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB), np.uint8)
        return cls((size[0], size[1]), colours, log_depth)

    @property
    def grid(self) -> tuple[int, int]:
        """(h, w) of the grid."""
        share = min(1.0, _SETTINGS.grid_px / max(self.size))
        return max(2, round(self.size[0] * share)), max(2, round(self.size[1] * share))

    def at(self, u_px: _Plane, v_px: _Plane) -> _Plane:
        """What pixels of any shape look like, (F, ...): distances of 1 are one standard deviation."""
        (height, width), small = self.size, self.colours.shape
        row, column = (v_px + 0.5) * (small[0] / height) - 0.5, (u_px + 0.5) * (small[1] / width) - 0.5
        colours = np.moveaxis(self.colours[nearest_pixels(column, row, small[:2])], -1, 0)
        looks: _Plane = colours * np.float32(1 / _SETTINGS.alike_colour)
        if self.log_depth is None:
            return looks
        return np.stack([*looks, self.base(u_px, v_px) * np.float32(1 / _SETTINGS.alike_log_depth)])

    def base(self, u_px: _Plane, v_px: _Plane) -> _Plane:
        """The network's log depth at pixels; 0 where it says nothing."""
        if self.log_depth is None:
            return np.zeros(u_px.shape, np.float32)
        rows, columns = nearest_pixels(u_px, v_px, self.size)
        return np.nan_to_num(self.log_depth[rows, columns], nan=0.0, posinf=0.0, neginf=0.0)

    def places(self) -> tuple[_Plane, _Plane]:
        """Columns and rows of the grid's pixels, (h, w) each, in pixels of the image."""
        (height, width), (h, w) = self.size, self.grid
        columns = (np.arange(w) + 0.5) * (width / w) - 0.5
        rows = (np.arange(h) + 0.5) * (height / h) - 0.5
        u, v = np.meshgrid(columns.astype(np.float32), rows.astype(np.float32))
        return u, v


@dataclass(frozen=True, eq=False)
class LocalPlanes:
    """Samples that planes are fitted to.

    Attributes:
        guide: The image they were taken of.
        place: (N, 2), float32, columns and rows.
        inverse: (N,), float32, 1 / depth over the network's.
        looks: (F, N), of the samples.
        trust: (N,), 0..1, the weight of each.
    """

    guide: Guide
    place: _Plane
    inverse: _Plane
    looks: _Plane
    trust: _Plane

    @classmethod
    def through(
        cls, guide: Guide, u_px: NDArray[Any], v_px: NDArray[Any], log_depth: NDArray[Any]
    ) -> LocalPlanes:
        """Take samples (N,) of an image: columns, rows, log of the depth in metres."""
        u, v = np.asarray(u_px, np.float32), np.asarray(v_px, np.float32)
        inverse = np.exp(guide.base(u, v) - np.asarray(log_depth, np.float32))
        trust = np.ones(len(inverse), np.float32)
        return cls(guide, np.stack([u, v], axis=1), inverse, guide.at(u, v), trust)

    def doubted(self) -> LocalPlanes:
        """Trust each sample as far as planes through its neighbours foretell it.

        The weight is that of Geman and McClure, at the scale of a usual error.
        """
        nearest, _ = nearest_samples(self.place, self.place, _SETTINGS.neighbours + 1)
        u, v = self.place[:, :1], self.place[:, 1:]
        foretold = self._log_inverse(without_itself(nearest), u, v, self.looks[..., None])[:, 0]
        error = np.log(self.inverse) - foretold
        scale = max(_SETTINGS.usual_errors * float(np.median(np.abs(error))), _SETTINGS.least_error)
        return replace(self, trust=1 / np.square(1 + np.square(error / np.float32(scale))))

    def at(self, u_px: _Plane, v_px: _Plane, part: NDArray[np.intp], own_part: NDArray[np.intp]) -> _Plane:
        """Log depth (M,) at single pixels, as if the samples of their own part of the image were unknown.

        Args:
            u_px: (M,), columns.
            v_px: (M,), rows.
            part: (M,), in which part each lies.
            own_part: (N,), in which part each sample lies.
        """
        count = _SETTINGS.neighbours
        nearest, _ = nearest_samples(self.place, np.stack([u_px, v_px], axis=1), 2 * count)
        is_known = own_part[nearest] != part[:, None]
        first_known = np.argsort(~is_known, axis=1, kind="stable")[:, :count]
        nearest = np.take_along_axis(nearest, first_known, axis=1)
        u, v = u_px[:, None], v_px[:, None]
        return self.guide.base(u_px, v_px) - self._log_inverse(nearest, u, v, self.guide.at(u, v))[:, 0]

    def everywhere(self, nth: int = 1) -> tuple[_Plane, _Plane]:
        """Log depth (h, w) on the grid, and the distance, pixels of the image, to the nth nearest sample."""
        u, v = self.guide.places()
        columns, rows = _in_cells(u), _in_cells(v)  # (cells, 16)
        centres = np.stack([columns.mean(axis=1), rows.mean(axis=1)], axis=1)
        nearest, distance = nearest_samples(self.place, centres, _SETTINGS.neighbours)
        looks, fitted = self.guide.at(columns, rows), self.guide.base(columns, rows)
        for first in range(0, len(fitted), _BLOCK):
            block = slice(first, first + _BLOCK)
            fitted[block] -= self._log_inverse(nearest[block], columns[block], rows[block], looks[:, block])
        to_nth = distance[:, min(nth, distance.shape[1]) - 1]
        return _from_cells(fitted, u.shape), _between_cells(to_nth, u.shape)

    def _log_inverse(self, nearest: NDArray[np.intp], u_px: _Plane, v_px: _Plane, looks: _Plane) -> _Plane:
        """Log of the plane's 1 / depth, over the network's, at the P places of each of C cells, (C, P).

        Sums over the K samples of a cell are products of small matrices: that takes a tenth of the time.

        Args:
            nearest: (C, K), indices of the samples that the places of a cell share.
            u_px: (C, P), columns.
            v_px: (C, P), rows.
            looks: (F, C, P).
        """
        per_px = np.float32(self.guide.grid[1] / self.guide.size[1])
        samples, places = self.place.T.take(nearest, axis=1), np.stack([u_px, v_px])
        first = places[..., :1].copy()  # single precision is exact enough for squares of what is left
        samples, places = (samples - first) * per_px, (places - first) * per_px  # pixels of the grid
        (x, y), (u, v) = samples, places
        squared = _squared_distances(places, samples)
        np.maximum(squared, np.float32(_SETTINGS.least_distance_px**2), out=squared)
        slack = squared @ np.full(x.shape[1], 0.5 * _SETTINGS.ridge / x.shape[1], np.float32)
        unlike = _squared_distances(looks, self.looks.take(nearest, axis=1))
        weight = np.exp(np.multiply(unlike, np.float32(-0.5), out=unlike), out=unlike)
        weight += np.float32(_SETTINGS.unlike)
        weight /= np.square(squared, out=squared)

        inverse = self.inverse[nearest]
        z = inverse - 1
        terms = np.stack([np.ones_like(x), x, y, z, x * x, y * y, x * y, x * z, y * z], axis=-1)
        terms *= self.trust[nearest][..., None]
        total, *sums = np.moveaxis(weight @ terms, -1, 0)
        mean_x, mean_y, mean_z, xx, yy, xy, xz, yz = (values / total for values in sums)
        xx += slack - mean_x * mean_x
        yy += slack - mean_y * mean_y
        xy -= mean_x * mean_y
        xz -= mean_x * mean_z
        yz -= mean_y * mean_z
        slopes = (mean_x - u) * (yy * xz - xy * yz) + (mean_y - v) * (xx * yz - xy * xz)
        fitted = 1 + mean_z - slopes / (xx * yy - xy * xy)
        limit = np.float32(_SETTINGS.most_beyond)
        least, most = (end[:, None] for end in (inverse.min(axis=1) / limit, inverse.max(axis=1) * limit))
        return np.asarray(np.log(np.clip(fitted, least, most)), np.float32)


def _squared_distances(a: _Plane, b: _Plane) -> _Plane:
    """Squared distances (C, P, K) between vectors (F, C, P) and (F, C, K)."""
    first = b[..., :1]
    a, b = a - first, b - first
    a_terms = np.stack([*(-2 * a), np.square(a).sum(axis=0), np.ones_like(a[0])], axis=-1)
    b_terms = np.stack([*b, np.ones_like(b[0]), np.square(b).sum(axis=0)], axis=1)
    return np.asarray(a_terms @ b_terms)


def _in_cells(plane: _Plane) -> _Plane:
    """Cut (h, w) into cells, (cells, pixels of a cell); the last ones repeat the rim."""
    (h, w), edge = plane.shape, _SETTINGS.cell_px
    padded = np.pad(plane, ((0, -h % edge), (0, -w % edge)), mode="edge")
    down, across = padded.shape[0] // edge, padded.shape[1] // edge
    cells = padded.reshape(down, edge, across, edge).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(cells).reshape(down * across, edge * edge)


def _between_cells(of_cells: _Plane, size: tuple[int, ...]) -> _Plane:
    """Interpolate one value for each cell, (cells,), over the grid (h, w): cells must not be seen."""
    (h, w), edge = size, _SETTINGS.cell_px
    down, across = -(-h // edge), -(-w // edge)
    plane = np.asarray(of_cells, np.float32).reshape(down, across)
    return np.asarray(cv2.resize(plane, (across * edge, down * edge))[:h, :w], np.float32)


def _from_cells(cells: _Plane, size: tuple[int, ...]) -> _Plane:
    """Put cells together again, (h, w)."""
    (h, w), edge = size, _SETTINGS.cell_px
    down, across = -(-h // edge), -(-w // edge)
    plane = cells.reshape(down, across, edge, edge).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(plane.reshape(down * edge, across * edge)[:h, :w])
