"""How it is measured: hooks, the fast forward, references, shards and activation files."""
