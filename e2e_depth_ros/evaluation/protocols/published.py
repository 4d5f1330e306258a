"""What is published for each protocol (Garcia et al., arXiv 2409.11355v2, tables of depth and of normals)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_DEPTH: Final = ("nyuv2", "kitti_eigen", "eth3d", "scannet", "diode")
_NORMALS: Final = ("nyuv2_normals", "scannet_normals", "ibims_normals", "sintel_normals")


@dataclass(frozen=True)
class PublishedRow:
    """The scores of one method.

    Attributes:
        method: Its name, with (steps, ensemble) where it samples.
        scores: By protocol: AbsRel and delta1 of depth, mean angle in degrees and share below 11.25 degrees
            of normals; all but the angle in percent.
        checkpoints: Hub ids of the weights that are published for it.
        sampling: Denoising steps and ensemble, with trailing timesteps where there is one step; None where
            nothing is sampled.
    """

    method: str
    scores: Mapping[str, tuple[float, float]]
    checkpoints: tuple[str, ...] = ()
    sampling: tuple[int, int] | None = field(default=None, kw_only=True)

    def is_of(self, checkpoint: str, steps: int, ensemble_size: int, spacing: str = "trailing") -> bool:
        """Tell whether a checkpoint, sampled so, is what the row is of.

        Args:
            checkpoint: Its hub id, or the name of a folder that is called alike.
            steps: Denoising steps.
            ensemble_size: Members of the ensemble.
            spacing: Of the timesteps.
        """
        name = checkpoint.rpartition("/")[2].lower()
        if name not in {known.rpartition("/")[2].lower() for known in self.checkpoints}:
            return False
        if self.sampling is None:
            return True
        return self.sampling == (steps, ensemble_size) and (steps > 1 or spacing == "trailing")


def _depth(*scores: tuple[float, float]) -> dict[str, tuple[float, float]]:
    return dict(zip(_DEPTH, scores, strict=True))


def _normals(*scores: tuple[float, float]) -> dict[str, tuple[float, float]]:
    return dict(zip(_NORMALS, scores, strict=True))


_MARIGOLD: Final = ("prs-eth/marigold-depth-v1-0",)
_LCM: Final = ("prs-eth/marigold-depth-lcm-v1-0",)
_MARIGOLD_NORMALS: Final = ("GonzaloMG/marigold-normals",)
_GEOWIZARD: Final = ("lemonaddie/geowizard",)
_GEOWIZARD_E2E: Final = ("GonzaloMG/geowizard-e2e-ft",)

ROWS: Final = (
    PublishedRow(
        "Marigold (50, 10)",
        _depth((5.5, 96.4), (9.9, 91.6), (6.5, 96.0), (6.4, 95.1), (30.8, 77.3)),
        _MARIGOLD,
        sampling=(50, 10),
    ),
    PublishedRow(
        "Marigold (50, 1)",
        _depth((6.0, 95.9), (10.5, 90.4), (7.1, 95.1), (6.9, 94.5), (31.0, 77.2)),
        _MARIGOLD,
        sampling=(50, 1),
    ),
    PublishedRow(
        "Marigold LCM (4, 5)",
        _depth((6.2, 95.6), (9.9, 91.7), (6.9, 95.5), (7.0, 94.5), (30.9, 77.6)),
        _LCM,
        sampling=(4, 5),
    ),
    PublishedRow(
        "Marigold LCM (1, 1)",
        _depth((6.5, 95.4), (10.7, 89.9), (7.5, 94.5), (7.6, 93.8), (31.5, 76.3)),
        _LCM,
        sampling=(1, 1),
    ),
    PublishedRow(
        "Marigold, trailing (1, 1)",
        _depth((5.7, 96.2), (10.8, 89.6), (6.9, 95.5), (6.6, 95.2), (31.1, 76.8)),
        _MARIGOLD,
        sampling=(1, 1),
    ),
    PublishedRow(
        "Marigold + E2E-FT",
        _depth((5.2, 96.6), (9.6, 91.9), (6.2, 95.9), (5.8, 96.2), (30.2, 77.9)),
        ("GonzaloMG/marigold-e2e-ft-depth",),
    ),
    PublishedRow(
        "Stable Diffusion + E2E-FT",
        _depth((5.4, 96.5), (9.6, 92.1), (6.4, 95.9), (5.8, 96.5), (30.3, 77.6)),
        ("GonzaloMG/stable-diffusion-e2e-ft-depth",),
    ),
    PublishedRow(
        "GeoWizard (50, 10)",
        _depth((5.7, 96.2), (14.4, 82.0), (7.5, 94.3), (6.1, 95.8), (31.4, 77.1)),
        _GEOWIZARD,
        sampling=(50, 10),
    ),
    PublishedRow(
        "GeoWizard, trailing (1, 1)",
        _depth((5.8, 96.1), (13.3, 84.7), (7.8, 94.3), (6.2, 95.7), (32.0, 76.0)),
        _GEOWIZARD,
        sampling=(1, 1),
    ),
    PublishedRow(
        "GeoWizard + E2E-FT",
        _depth((5.6, 96.1), (9.8, 91.4), (6.3, 95.7), (5.9, 96.2), (30.6, 77.9)),
        _GEOWIZARD_E2E,
    ),
    PublishedRow(
        "Marigold (50, 10)",
        _normals((18.8, 55.9), (17.7, 58.8), (18.4, 64.3), (39.1, 14.9)),
        _MARIGOLD_NORMALS,
        sampling=(50, 10),
    ),
    PublishedRow(
        "Marigold, trailing (1, 1)",
        _normals((17.4, 56.5), (16.8, 57.6), (18.1, 62.9), (37.1, 15.7)),
        _MARIGOLD_NORMALS,
        sampling=(1, 1),
    ),
    PublishedRow(
        "Marigold + E2E-FT",
        _normals((16.2, 61.4), (14.7, 66.0), (15.8, 69.9), (33.5, 21.5)),
        ("GonzaloMG/marigold-e2e-ft-normals",),
    ),
    PublishedRow(
        "Stable Diffusion + E2E-FT",
        _normals((16.5, 60.4), (14.7, 66.1), (16.1, 69.7), (33.5, 22.3)),
        ("GonzaloMG/stable-diffusion-e2e-ft-normals",),
    ),
    PublishedRow(
        "GeoWizard, trailing (1, 1)",
        _normals((17.0, 54.1), (15.5, 59.3), (18.3, 62.5), (35.9, 15.6)),
        _GEOWIZARD,
        sampling=(1, 1),
    ),
    PublishedRow(
        "GeoWizard + E2E-FT",
        _normals((16.1, 60.7), (15.3, 63.6), (16.2, 69.4), (33.4, 22.4)),
        _GEOWIZARD_E2E,
    ),
)
"""The paper's tables, in its order."""


def rows_of(protocol: str) -> list[PublishedRow]:
    """Return the rows that have a score for a protocol."""
    return [row for row in ROWS if protocol in row.scores]
