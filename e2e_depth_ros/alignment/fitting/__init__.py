"""One frame: from relative depth, image and samples to metric depth and its deviation. No time, no state."""
