"""plantain: experiment tracking for interpretability probes of image generators."""

__version__ = "0.2.0.dev0"
