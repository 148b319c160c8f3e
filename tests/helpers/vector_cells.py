"""Gram matrices of planted vectors, by plain NumPy: what a capture would have kept of them."""

import numpy as np

from plantain.records.grams import Grams, View

NOTHING_KEPT = Grams({}, {}, {}, (), {}, (View(None, None),), (0,))


def pairs(gram):
    rows, columns = np.triu_indices(gram.shape[-1])
    return gram[..., rows, columns]


def gram(vectors):
    """(condition, head, dim) to (head, pair), centred over conditions."""
    centred = vectors - vectors.mean(axis=0)
    return pairs(np.einsum("chd,khd->hck", centred, centred))


def grams_of(vectors, conditions, items, references, seeds, subsets=None, tokens="noise"):
    """From (item, condition, reference, seed, head, dim), one draw and one token set."""
    subsets = {"all": tuple(items)} | {name: tuple(chosen) for name, chosen in (subsets or {}).items()}
    views = [View(None, None)]
    looked = [vectors.mean(axis=(2, 3))]
    if len(references) * len(seeds) > 1:
        for at, seed in enumerate(seeds):
            for place, reference in enumerate(references):
                views.append(View(seed, reference))
                looked.append(vectors[:, :, place, at])
    chosen = {name: [list(items).index(item) for item in own] for name, own in subsets.items()}
    mean = np.array([[gram(one[rows].mean(axis=0)) for rows in chosen.values()] for one in looked])
    profile = np.array([[np.mean([gram(one[i]) for i in rows], axis=0) for rows in chosen.values()] for one in looked])
    heads = {tokens: tuple(range(vectors.shape[-2]))}
    return Grams(
        mean={tokens: mean[None].astype(np.float32)},
        profile={tokens: profile[None].astype(np.float32)},
        heads=heads,
        conditions=tuple(conditions),
        subsets=subsets,
        views=tuple(views),
        draws=(0,),
        profile_subsets=tuple(subsets),
    )
