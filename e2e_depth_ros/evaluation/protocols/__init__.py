"""The published evaluations of relative depth and of normals, from the data sets as they are published.

They are those of Marigold (Ke et al., arXiv 2312.02145) for depth and of DSINE (Bae and Davison 2024) for
normals, as E2E-FT (Garcia et al., arXiv 2409.11355) takes both.
"""

PROTOCOL_NAMES = (
    "nyuv2",
    "kitti_eigen",
    "eth3d",
    "scannet",
    "diode",
    "nyuv2_normals",
    "scannet_normals",
    "ibims_normals",
    "sintel_normals",
)
"""All protocols; `registry.protocol_named` has them."""
