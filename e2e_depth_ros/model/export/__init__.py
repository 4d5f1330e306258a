"""From a checkpoint to graphs that engines without torch run."""
