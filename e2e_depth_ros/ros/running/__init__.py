"""What runs beside the executor: the worker and its mailbox, loading, and signals."""
