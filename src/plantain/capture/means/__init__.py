"""Means over token sets: what a hook keeps of a pass."""
