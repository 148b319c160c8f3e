"""plantain: experiment tracking for interpretability probes of image generators."""

__version__ = "0.1.0"
