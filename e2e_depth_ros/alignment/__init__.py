"""From relative depth and sparse metric points to metres."""
