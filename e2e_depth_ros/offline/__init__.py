"""Files in, files out: videos and measured depth as others store it, and the formats that others read."""
