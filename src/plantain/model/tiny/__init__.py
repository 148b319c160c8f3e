"""The embedded model: a small, real Flux2KleinPipeline that is known to take a viewpoint, and the world it was shown.

Importing this package costs nothing; building a pipeline loads torch and diffusers.
"""

from pathlib import Path

__all__ = ["build", "build_mention", "truth_path"]


def build(folder: Path) -> None:
    """Write ``tiny`` into ``folder`` in the layout that ``Flux2KleinPipeline.from_pretrained`` reads."""
    from plantain.model.tiny.assemble import write_pipeline

    write_pipeline(folder, "transformer")


def build_mention(folder: Path) -> None:
    """Write ``tiny-mention`` into ``folder``: the same pipeline with the transformer that was taught mention only."""
    from plantain.model.tiny.assemble import write_pipeline

    write_pipeline(folder, "transformer-mention")


def truth_path() -> Path:
    """The file that says which contrasts are real, lexical only or null on the embedded models."""
    return Path(__file__).with_name("truth.yaml")
