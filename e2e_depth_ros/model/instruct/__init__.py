"""Images painted by instruction (InstructDiffusion, arXiv 2309.03895); masks and keypoints from the paint."""
