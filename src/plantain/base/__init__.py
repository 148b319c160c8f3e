"""What every room stands on: errors, files, git, paths, threads, YAML, and the parameters as types."""
