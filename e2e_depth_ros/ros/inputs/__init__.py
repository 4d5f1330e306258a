"""What comes with a frame: the image, its calibration, masks."""
