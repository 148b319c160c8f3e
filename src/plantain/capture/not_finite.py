"""What a forward is refused for: a mean that is no number."""


class NotFinite(Exception):
    """A mean is infinite or no number, although its token set has tokens."""

    def __init__(self, row: int, projection: str, tokens: str) -> None:
        self.row = row
        """Row of the batch."""
        self.projection = projection
        """Name of the first projection that saw such values."""
        self.tokens = tokens
        """The token set, one of :data:`plantain.records.activations.TOKENS`."""
        super().__init__(f"row {row}, {projection}, {tokens}")
