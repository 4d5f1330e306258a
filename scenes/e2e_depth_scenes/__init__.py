"""Training images with exact depth and normals, by a ray caster or by Blender.

What they have in common with e2e_depth_ros is its shard format, which it reads to train, and nothing else.
"""

__version__ = "0.1.0"
