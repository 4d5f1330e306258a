"""Depth maps, cameras and geometry. Only numpy, torch and OpenCV."""
