"""The engine: every flip against every unit, in integers that are equal on every route."""
