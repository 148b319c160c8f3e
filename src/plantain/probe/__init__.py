"""What is asked: the probe file, its expansion and its digests."""
