"""The published JSON Schema of receipts: ``python -m plantain.records.schema`` writes it anew."""

from pathlib import Path
from typing import Any, Final

from plantain.base.files import readable_json, write_atomic
from plantain.records.receipt import SCHEMA, Receipt

PUBLISHED: Final = Path("docs/schemas/receipt.schema.json")


def schema() -> dict[str, Any]:
    """JSON Schema of the receipts that this version writes and reads."""
    found = Receipt.model_json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:{SCHEMA.replace('/', ':')}",
        **found,
    }


if __name__ == "__main__":
    write_atomic(PUBLISHED, readable_json(schema()))
