"""Depth maps, cameras and geometry. Only numpy, torch, OpenCV and PyYAML."""
