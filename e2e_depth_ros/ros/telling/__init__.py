"""What the nodes tell of themselves: diagnostics, the state of the alignment, and why nothing comes."""
