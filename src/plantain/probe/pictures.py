"""Pictures that a person declares, brought once into the form in which the model, the page and the digests have them.

That form is 8-bit sRGB, upright, opaque, without metadata. What a file leaves open (which colour lies behind
transparent pixels, which of several frames, which white) is refused and not guessed. Only pictures of known formats
are decoded, and only within a declared number of pixels.
"""

import io
import struct
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any, Final

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

from plantain.base.errors import InputError, refuse_pointer
from plantain.base.files import sha256_bytes

FORMATS: Final = ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP")
"""What is read. Pillow knows more, some of which (PostScript) it hands to other programs."""

LARGEST: Final = 1 << 26
"""Pixels above which a picture is not decoded (64 Mi; the model shrinks what is over 1 Mi)."""

LARGEST_FILE: Final = 1 << 28
"""Bytes above which a file is not read."""

SMALLEST: Final = 64
LARGEST_ASPECT: Final = 8
"""What FLUX.2's image processor accepts: pixels a side, and the ratio of the sides."""

_USE = "use a PNG, JPEG or WebP picture, or save it anew as one."
_BARE = frozenset({b"IHDR", b"IDAT", b"IEND", b"tEXt", b"zTXt", b"iTXt", b"pHYs", b"tIME", b"sRGB"})
"""Chunks of a PNG that change no pixel of an sRGB picture."""

_SRGB_GAMMA = 0.45455
_SRGB_CHROMATICITY = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_CICP_SRGB = (b"\x01\x0d\x00\x01", b"\x01\x01\x00\x01")


@dataclass(frozen=True)
class Picture:
    """One picture as everything sees it."""

    image: Image.Image
    """Mode RGB, without metadata."""
    steps: tuple[str, ...]
    """What was done to the file's own pixels, in order; empty where they are used as they are."""
    source: bytes
    """The file itself."""

    @property
    def source_sha256(self) -> str:
        """SHA-256 of the file that it was read from."""
        return sha256_bytes(self.source)

    @cached_property
    def png(self) -> bytes:
        """The picture as a PNG: the file's own bytes where they are one in this form already."""
        if not self.steps and is_plain(self.source):
            return self.source
        stream = io.BytesIO()
        self.image.save(stream, format="PNG")
        return stream.getvalue()


def read_picture(root: Path, file: str) -> Picture:
    """The picture ``file`` of the repository at ``root``.

    Raises:
        OSError: there is no such file.
        InputError: it lies outside the repository, cannot be decoded whole, leaves open what it shows, or has a size
            that FLUX.2 does not take.
    """
    return normalised(_bytes(_inside(root, file)), file)


def cached(path: Path) -> Image.Image:
    """A picture of ``data/references``, the same pixels for every reader.

    Raises:
        InputError: it is no picture in the form that the reference stage writes.
    """
    data = path.read_bytes()
    if not is_plain(data):
        stage = "pipelines/<probe>/dvc.yaml:reference@<model>"
        fix = f"make it anew with `dvc repro`; of one probe and model, `dvc repro -f {stage}`."
        raise InputError("not an 8-bit RGB picture without metadata, as references are kept.", file=path, fix=fix)
    return _bare(_decoded(data, str(path)))


def normalised(data: bytes, name: str) -> Picture:
    """The picture that the file ``data`` holds; ``name`` is for messages.

    Raises:
        InputError: see :func:`read`.
    """
    image = _decoded(data, name)
    refuse_size(*image.size, name)
    if image.format == "PNG":
        _refuse_other_colours(data, image, name)
    steps: list[str] = []
    profile = image.info.get("icc_profile")
    for step in (_first_of_several, _upright, _eight_bits, _opaque):
        image, done = step(image, data, name)
        steps += [done] if done else []
    image, done = _by_profile(image, profile, name) if profile else _without_profile(image, name)
    return Picture(_bare(image), (*steps, *([done] if done else [])), data)


def is_plain(data: bytes) -> bool:
    """Whether ``data`` is a PNG of 8-bit RGB that shows its pixels as they are."""
    chunks = _chunks(data)
    header = chunks.get(b"IHDR", b"")
    return len(header) == 13 and header[8:10] == b"\x08\x02" and chunks.keys() <= _BARE


def _inside(root: Path, file: str) -> Path:
    """Where ``file`` lies once every link is followed."""
    fix = "put the picture itself into the repository (where DVC linked it, `dvc unprotect` does) and give its path."
    parts = PurePath(file)
    try:
        path, home = (root / file).resolve(), root.resolve()
    except (RuntimeError, ValueError):  # a circle of links, a null character
        raise FileNotFoundError(file) from None
    if parts.is_absolute() or ".." in parts.parts or not path.is_relative_to(home):
        raise InputError("the file lies outside the repository.", file=file, fix=fix)
    if path.exists() and not path.is_file():
        raise InputError("this is no file.", file=file, fix="give the path of a picture.")
    return path


def _bytes(path: Path) -> bytes:
    with path.open("rb") as stream:
        data = stream.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise InputError(f"larger than {LARGEST_FILE >> 20} MiB.", file=path.name, fix="use a smaller picture.")
    return data


def _decoded(data: bytes, name: str) -> Image.Image:
    """The picture with every pixel read; a PNG's checksums too."""
    refuse_pointer(data, name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Pillow warns of is refused here, or seen to
            with _opened(data) as unread:
                _refuse_bomb(unread, name)
                _refuse_frames(unread, name)
                unread.verify()
            image = _opened(data)
            image.load()
            return image
    except (InputError, MemoryError):
        raise
    except UnidentifiedImageError:
        raise InputError(
            f"not a picture of a format that is read ({', '.join(FORMATS)}).", file=name, fix=_USE
        ) from None
    except Image.DecompressionBombError:
        raise InputError(f"more than {LARGEST:,} pixels.", file=name, fix="use a smaller picture.") from None
    except Exception as error:  # each of Pillow's decoders has errors of its own kind
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        fix = "fetch the file again, or save it anew."
        raise InputError(f"the picture is damaged or cut short ({reason}).", file=name, fix=fix) from None


def _opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data), formats=FORMATS)


def _refuse_bomb(image: Image.Image, name: str) -> None:
    """Refuse what unpacks to more pixels than are read, before any of them is."""
    if image.width * image.height > LARGEST:
        problem = f"{image.width} x {image.height} pixels are more than {LARGEST:,}."
        raise InputError(problem, file=name, fix="use a smaller picture.")


def _refuse_frames(image: Image.Image, name: str) -> None:
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":
        fix = "save the one frame that you mean as a picture of its own."
        raise InputError(f"it holds {frames} frames.", file=name, fix=fix)


def refuse_size(width: int, height: int, name: str) -> None:
    """Refuse a picture that FLUX.2 does not take.

    Raises:
        InputError: a side is too short, or one much longer than the other.
    """
    short, long = sorted((width, height))
    if short < SMALLEST or long > LARGEST_ASPECT * short:
        fix = f"use at least {SMALLEST} pixels a side, one side at most {LARGEST_ASPECT} times the other."
        raise InputError(f"{width} x {height} pixels cannot condition FLUX.2.", file=name, fix=fix)


def _chunks(data: bytes) -> dict[bytes, bytes]:
    """The chunks of a PNG by type, the first of each; empty where ``data`` is none."""
    found: dict[bytes, bytes] = {}
    at = 8
    while data[:8] == b"\x89PNG\r\n\x1a\n" and at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        found.setdefault(kind, data[at + 8 : at + 8 + length])
        at += length + 12
    return found


def _refuse_other_colours(data: bytes, image: Image.Image, name: str) -> None:
    """Refuse a PNG that names its colours by numbers, other than those of sRGB, in place of a profile."""
    chunks = _chunks(data)
    other = chunks.get(b"cICP", _CICP_SRGB[0]) not in _CICP_SRGB
    if not other and not chunks.keys() & {b"iCCP", b"sRGB"}:
        gamma, primaries = image.info.get("gamma", _SRGB_GAMMA), image.info.get("chromaticity", _SRGB_CHROMATICITY)
        apart = max(abs(one - two) for one, two in zip(primaries, _SRGB_CHROMATICITY, strict=True))
        other = abs(gamma / _SRGB_GAMMA - 1) > 0.05 or apart > 0.01
    if other:
        problem = "its colours are declared by gamma, primaries or code points that are not those of sRGB."
        raise InputError(problem, file=name, fix="convert it to sRGB and save it anew.")


_Step = tuple[Image.Image, str]
"""A picture, and what was done to it; empty where nothing was."""


def _first_of_several(image: Image.Image, _data: bytes, _name: str) -> _Step:
    """Phones put a gain map or a second view behind a JPEG, and every viewer shows the first."""
    frames = getattr(image, "n_frames", 1)
    return image, f"the first of the {frames} pictures that the JPEG holds" if frames > 1 else ""


def _upright(image: Image.Image, _data: bytes, name: str) -> _Step:
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        if orientation not in range(2, 9):
            return image, ""
        turned = ImageOps.exif_transpose(image)
    except Exception:  # a parser that raises what it stumbles over
        fix = "remove them, or save the picture anew."
        raise InputError(
            "its EXIF data cannot be read, so which side is up is not known.", file=name, fix=fix
        ) from None
    turned.format = image.format
    return turned, f"turned upright (EXIF orientation {orientation})"


def _eight_bits(image: Image.Image, data: bytes, name: str) -> _Step:
    """The upper eight of 16 bits, which is what Pillow itself keeps of a 16-bit picture in colour."""
    if image.mode == "F":
        return _from_floats(image, name)
    if image.mode != "I" and not image.mode.startswith("I;16"):
        sixteen = image.format == "PNG" and _chunks(data)[b"IHDR"][8] == 16
        return image, "16 bits a channel to 8" if sixteen else ""
    values = np.asarray(image).astype(np.int64)
    if (image.mode == "I" and not 255 < values.max(initial=0) <= 65535) or values.min(initial=0) < 0:
        raise _no_white(f"whole numbers from {values.min()} to {values.max()}", name)
    if np.any(values == image.info.get("transparency", -1)):
        raise _transparent(name)
    return _grey(values >> 8), "16 bits a channel to 8"


def _from_floats(image: Image.Image, name: str) -> _Step:
    values = np.asarray(image).astype(np.float64)
    if not (np.isfinite(values).all() and values.min() >= 0 and 0 < values.max() <= 1):
        raise _no_white(f"floating numbers from {values.min():g} to {values.max():g}", name)
    return _grey(np.rint(values * 255)), "floating numbers from 0 to 1 to 8 bits"


def _grey(values: Any) -> Image.Image:
    return Image.fromarray(values.astype(np.uint8))


def _no_white(found: str, name: str) -> InputError:
    fix = "save it with 8 or 16 bits a channel."
    return InputError(f"its pixels are {found}, and which of them is white is not declared.", file=name, fix=fix)


def _opaque(image: Image.Image, _data: bytes, name: str) -> _Step:
    """Drop an alpha channel that hides nothing; no colour is declared that could stand behind one that does."""
    if not image.has_transparency_data:
        return image, ""
    full = image.convert("RGBA")
    if full.getchannel("A").getextrema() != (255, 255):
        raise _transparent(name)
    grey = image.mode in ("L", "LA")
    return full.getchannel("R") if grey else full.convert("RGB"), "an alpha channel that hides nothing dropped"


def _transparent(name: str) -> InputError:
    fix = "flatten it over the colour that you mean, and save it without transparency."
    return InputError("pixels are transparent, and what lies behind them is not declared.", file=name, fix=fix)


def _by_profile(image: Image.Image, profile: bytes, name: str) -> _Step:
    """The picture in sRGB, converted from the colours that its profile names."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        described = ImageCms.getProfileDescription(source).strip()
        ready = _in_space_of(image, source.profile.xcolor_space.strip())
        done = ImageCms.profileToProfile(ready, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        fix = "convert it to sRGB and save it anew."
        raise InputError(f"its colour profile cannot be applied ({reason}).", file=name, fix=fix) from None
    assert done is not None  # None is what an in-place conversion gives
    return done, f"from the colours of its profile ({described}) to sRGB"


def _in_space_of(image: Image.Image, space: str) -> Image.Image:
    """The picture in a mode that a profile of ``space`` speaks of: grey stays grey, or is RGB of equal channels."""
    if space == "GRAY" and image.mode in ("1", "L"):
        return image.convert("L")
    if space == "RGB" and image.mode in ("1", "L", "P", "RGB"):
        return image.convert("RGB")
    if space == "CMYK" and image.mode == "CMYK":
        return image
    raise ValueError(f"it is for {space}, the picture is {image.mode}")


_PLAIN = {"RGB": "", "1": "black and white to RGB", "L": "grey to RGB", "P": "palette to RGB"}


def _without_profile(image: Image.Image, name: str) -> _Step:
    if image.mode not in _PLAIN:
        problem = f"its colours are {image.mode} without a profile that says which they are."
        raise InputError(problem, file=name, fix="convert it to sRGB and save it anew.")
    return image.convert("RGB"), _PLAIN[image.mode]


def _bare(image: Image.Image) -> Image.Image:
    """The same pixels without metadata, which would find its way into what is saved."""
    return Image.frombytes("RGB", image.size, image.tobytes())
