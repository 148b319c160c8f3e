"""Help for people who write probes: begin one, check it, compare two."""
