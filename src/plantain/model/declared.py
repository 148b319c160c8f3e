"""The entry of a model in params.yaml (needs no torch)."""

from plantain.base.errors import InputError
from plantain.base.params import ModelParams, Params


def declared(name: str, params: Params) -> ModelParams:
    """The entry of a model in params.yaml.

    Raises:
        InputError: there is none of that name.
    """
    if name not in params.models:
        raise InputError(f"model '{name}' is not declared.", fix=f"use one of: {', '.join(params.models)}.")
    return params.models[name]
