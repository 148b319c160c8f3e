"""Pictures against pixels computed from raw arrays: what is normalised, and what is refused."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from plantain.base.errors import InputError
from plantain.base.files import sha256_bytes
from plantain.probe import pictures
from plantain.probe.authoring.check import check_probe
from plantain.probe.expand import expand
from plantain.probe.pictures import cached, normalised, read_picture
from plantain.probe.spec import read_probe

PROBE = """
probe: rooms
references:
  room: {{file: {file}}}
conditions:
  a: {{prompt: "A cat in {{x}}", reference: room}}
  b: {{prompt: "A dog in {{x}}", reference: room}}
contrasts:
  target: {{a: a, b: b, role: target}}
items:
  - {{id: i1, x: red}}
  - {{id: i2, x: blue}}
"""


def noise(*shape: int, top: int = 256) -> np.ndarray:
    return np.random.default_rng(len(shape)).integers(0, top, shape)


RGB = noise(70, 90, 3).astype(np.uint8)


def saved(array: np.ndarray | Image.Image, kind: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    (array if isinstance(array, Image.Image) else Image.fromarray(array)).save(stream, kind, **options)
    return stream.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(array: np.ndarray, colour: int, *chunks: bytes) -> bytes:
    """A PNG written by hand from (height, width[, channels]) of 8 or 16 bits."""
    rows = array.reshape(array.shape[0], -1)
    data = b"".join(b"\0" + row.astype(row.dtype.newbyteorder(">")).tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], array.itemsize * 8, colour, 0, 0, 0)
    middle = b"".join(chunks)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + middle
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )


def pixels(data: bytes) -> np.ndarray:
    """What reaches the reader of the cached file."""
    picture = normalised(data, "picture")
    found = np.asarray(Image.open(io.BytesIO(picture.png)))
    np.testing.assert_array_equal(found, np.asarray(picture.image))
    assert found.dtype == np.uint8
    assert found.shape[2] == 3
    assert pictures.is_plain(picture.png)
    return found


def grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(values.astype(np.uint8)[..., None], 3, axis=2)


def test_a_plain_picture_is_used_as_it_is():
    data = png(RGB, 2, chunk(b"tEXt", b"Comment\0a room"), chunk(b"sRGB", b"\0"))
    picture = normalised(data, "room.png")
    assert (picture.png, picture.steps, picture.source_sha256) == (data, (), sha256_bytes(data))
    np.testing.assert_array_equal(pixels(data), RGB)


def test_sixteen_bits_keep_their_upper_eight_in_grey_and_colour():
    depth = np.linspace(0, 65535, 64 * 80).astype(np.uint16).reshape(64, 80)
    np.testing.assert_array_equal(pixels(png(depth, 0)), grey(depth // 256))
    np.testing.assert_array_equal(pixels(saved(depth, "TIFF")), grey(depth // 256))
    np.testing.assert_array_equal(pixels(saved(depth.astype(np.int32), "TIFF")), grey(depth // 256))
    colour = noise(64, 80, 3, top=65536).astype(np.uint16)
    np.testing.assert_array_equal(pixels(png(colour, 2)), colour // 256)
    assert normalised(png(colour, 2), "c").steps == ("16 bits a channel to 8",)
    widened = RGB.astype(np.uint16) * 257  # the same picture with 16 bits
    np.testing.assert_array_equal(pixels(png(widened, 2)), RGB)


def test_floats_from_0_to_1_are_scaled():
    values = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
    np.testing.assert_array_equal(pixels(saved(values, "TIFF")), grey(np.rint(values.astype(np.float64) * 255)))


TURNED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a[::-1].swapaxes(0, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a[:, ::-1].swapaxes(0, 1),
}
"""Row 0 and column 0 of the stored picture are, by the EXIF standard, top and left, top and right, …"""


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_stands_upright(orientation, kind):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(RGB, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    stored = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    np.testing.assert_array_equal(pixels(data), TURNED[orientation](stored))


def test_palette_grey_and_black_and_white_are_rgb():
    indices = noise(64, 64, top=7).astype(np.uint8)
    table = noise(7, 3).astype(np.uint8)
    image = Image.fromarray(indices)
    image.putpalette(table.tobytes())
    for kind in ("PNG", "GIF"):
        np.testing.assert_array_equal(pixels(saved(image, kind)), table[indices])
    np.testing.assert_array_equal(pixels(saved(RGB[..., 0])), grey(RGB[..., 0]))
    bits = RGB[..., 0] > 127
    np.testing.assert_array_equal(pixels(saved(Image.fromarray(bits))), grey(bits * 255))


def test_transparency_is_refused_where_it_hides_anything():
    alpha = np.dstack([RGB, np.full(RGB.shape[:2], 255, np.uint8)])
    np.testing.assert_array_equal(pixels(png(alpha, 6)), RGB)
    np.testing.assert_array_equal(pixels(png(alpha[..., [0, 3]], 4)), grey(RGB[..., 0]))
    holed = alpha.copy()
    holed[3, 5, 3] = 254
    index = Image.fromarray(noise(64, 64, top=7).astype(np.uint8))
    index.putpalette(noise(7, 3).astype(np.uint8).tobytes())
    deep = noise(64, 64, top=65536).astype(np.uint16)
    deep[0, 0] = 513
    keyed = [
        png(RGB, 2, chunk(b"tRNS", struct.pack(">HHH", *RGB[0, 0].tolist()))),
        png(deep, 0, chunk(b"tRNS", struct.pack(">H", 513))),
        saved(index, transparency=3),
    ]
    for data in (png(holed, 6), saved(holed, "WEBP", lossless=True), png(holed[..., [0, 3]], 4), *keyed):
        with pytest.raises(InputError, match=r"pixels are transparent.*Fix: flatten it over the colour"):
            normalised(data, "holed")
    unused = png(np.zeros((64, 64), np.uint16), 0, chunk(b"tRNS", struct.pack(">H", 513)))
    np.testing.assert_array_equal(pixels(unused), np.zeros((64, 64, 3)))


def profile(primaries: tuple[float, ...], gamma: float) -> bytes:
    """An RGB profile of ICC version 2 with these XYZ columns (D50) and one gamma."""

    def fixed(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    def xyz(*values: float) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(map(fixed, values))

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    name = b"desc\0\0\0\0" + struct.pack(">I", 6) + b"test\0\0" + b"\0" * 80
    tags = {b"desc": name, b"wtpt": xyz(0.9642, 1.0, 0.8249), b"cprt": b"text\0\0\0\0none\0\0\0\0"}
    columns = zip((b"rXYZ", b"gXYZ", b"bXYZ"), range(0, 9, 3), strict=True)
    tags |= {tag: xyz(*primaries[at : at + 3]) for tag, at in columns}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    body, table, at = b"", struct.pack(">I", len(tags)), 128 + 4 + 12 * len(tags)
    for tag, content in tags.items():
        padded = content + b"\0" * (-len(content) % 4)
        table += tag + struct.pack(">II", at + len(body), len(content))
        body += padded
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"\0" * 4, 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + b"\0" * 28 + b"".join(map(fixed, (0.9642, 1, 0.8249)))
    return head.ljust(128, b"\0") + table + body


SRGB_D50 = np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])
ADOBE_D50 = np.array([[0.6097, 0.2053, 0.1492], [0.3111, 0.6257, 0.0632], [0.0195, 0.0609, 0.7446]])


def srgb_of(values: np.ndarray, matrix: np.ndarray, gamma: float) -> np.ndarray:
    """8-bit sRGB by the definition of the two spaces, without a colour library."""
    linear = (values / 255) ** gamma @ matrix.T @ np.linalg.inv(SRGB_D50).T
    linear = np.clip(linear, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def test_a_colour_profile_is_converted_to_srgb():
    data = saved(RGB, icc_profile=profile(tuple(ADOBE_D50.T.ravel()), 2.19921875))
    expected = srgb_of(RGB, ADOBE_D50, 2.19921875)
    assert np.abs(expected - RGB).max() > 20
    assert np.abs(pixels(data) - expected).max() < 4  # lcms works with 16-bit fixed numbers
    assert np.abs(pixels(data) - expected).mean() < 0.5
    assert "profile (test) to sRGB" in normalised(data, "adobe").steps[-1]


def test_an_srgb_profile_changes_no_pixel_and_others_are_applied_or_refused():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    np.testing.assert_array_equal(pixels(saved(RGB, icc_profile=srgb)), RGB)
    np.testing.assert_array_equal(pixels(saved(RGB[..., 0], icc_profile=srgb)), grey(RGB[..., 0]))
    with pytest.raises(InputError, match=r"profile cannot be applied.*Fix: convert it to sRGB"):
        normalised(saved(RGB, icc_profile=b"no profile" * 20), "broken")
    with pytest.raises(InputError, match="CMYK without a profile"):
        normalised(saved(Image.fromarray(RGB).convert("CMYK"), "JPEG"), "print")
    with pytest.raises(InputError, match="it is for RGB, the picture is CMYK"):
        normalised(saved(Image.fromarray(RGB).convert("CMYK"), "JPEG", icc_profile=srgb), "print")


@pytest.mark.parametrize(
    ("extra", "fine"),
    [
        (chunk(b"gAMA", struct.pack(">I", 45455)), True),
        (chunk(b"gAMA", struct.pack(">I", 100000)), False),
        (chunk(b"gAMA", struct.pack(">I", 100000)) + chunk(b"sRGB", b"\0"), True),
        (chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)), False),
        (chunk(b"cICP", b"\x09\x10\x00\x01"), False),
        (chunk(b"cICP", b"\x01\x0d\x00\x01"), True),
    ],
)
def test_a_png_in_other_colours_without_a_profile_is_refused(extra, fine):
    if fine:
        np.testing.assert_array_equal(pixels(png(RGB, 2, extra)), RGB)
        return
    with pytest.raises(InputError, match="not those of sRGB"):
        normalised(png(RGB, 2, extra), "linear")


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "TIFF"])
def test_several_frames_are_refused(kind):
    frames = [Image.fromarray(RGB), Image.fromarray(RGB[::-1].copy())]
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match="it holds 2 frames"):
        normalised(data, "moving")


def test_the_first_picture_of_a_phones_jpeg_is_used():
    data = saved(Image.fromarray(RGB), "MPO", save_all=True, append_images=[Image.fromarray(RGB[::-1].copy())])
    first = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    np.testing.assert_array_equal(pixels(data), first)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.95])
def test_a_picture_cut_short_is_refused(kind, kept):
    data = saved(RGB, kind)
    with pytest.raises(InputError, match=r"^cut: .*Fix: "):
        normalised(data[: int(len(data) * kept)], "cut")


def test_a_wrong_checksum_is_refused():
    data = bytearray(png(RGB, 2))
    data[-16] ^= 1  # the last byte of the checksum of IDAT
    with pytest.raises(InputError, match="damaged or cut short"):
        normalised(bytes(data), "flipped")


def test_what_is_no_picture_and_what_other_programs_would_read_is_refused():
    with pytest.raises(InputError, match="not a picture of a format that is read"):
        normalised(b"no picture", "text")
    with pytest.raises(InputError, match="not a picture of a format that is read"):
        normalised(saved(RGB, "EPS"), "drawing")


@pytest.mark.parametrize("side", [9_000, 20_000])
def test_a_bomb_is_refused_before_it_is_unpacked(side, monkeypatch):
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    unpacked = zlib.compress(bytes((side + 7) // 8 + 1) * side)
    small = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", unpacked) + chunk(b"IEND", b"")
    assert len(small) < 100_000
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda _: pytest.fail("decoded"))
    with pytest.raises(InputError, match="more than 67,108,864"):
        normalised(small, "bomb")


@pytest.mark.parametrize("size", [(40, 80), (640, 64), (63, 64)])
def test_sizes_that_the_model_does_not_take_are_refused(size):
    with pytest.raises(InputError, match=f"{size[0]} x {size[1]} pixels cannot condition"):
        normalised(saved(Image.new("RGB", size)), "odd")


def test_a_cached_picture_is_read_in_one_form_alone(tmp_path):
    path = tmp_path / "room.png"
    path.write_bytes(png(RGB, 2))
    np.testing.assert_array_equal(np.asarray(cached(path)), RGB)
    linear = png(RGB, 2, chunk(b"gAMA", struct.pack(">I", 100000)))
    for data in (png(RGB.astype(np.uint16), 2), png(RGB[..., 0], 0), saved(RGB, "JPEG"), linear):
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"room\.png: not an 8-bit RGB picture.*dvc repro"):
            cached(path)


@pytest.fixture
def house(tmp_path) -> Path:
    """A repository with a picture, beside a picture that is none of its."""
    (tmp_path / "other.png").write_bytes(png(RGB, 2))
    root = tmp_path / "house"
    (root / "images").mkdir(parents=True)
    (root / "images/room.png").write_bytes(png(RGB, 2))
    return root


def test_a_file_outside_the_repository_is_refused(house):
    (house / "images/out.png").symlink_to(house.parent / "other.png")
    (house / "up").symlink_to("..")
    (house / "images/in.png").symlink_to("room.png")
    np.testing.assert_array_equal(np.asarray(read_picture(house, "images/in.png").image), RGB)
    for file in ("images/out.png", "up/other.png", "../other.png", str(house / "images/room.png")):
        with pytest.raises(InputError, match="outside the repository"):
            read_picture(house, file)
    with pytest.raises(InputError, match="this is no file"):
        read_picture(house, "images")
    (house / "images/round.png").symlink_to("round.png")
    for file in ("images/round.png", "images/none.png", "images/nul\0.png"):
        with pytest.raises(OSError, match=r"\.png"):
            read_picture(house, file)


def written(root: Path, text: str) -> Path:
    path = root / "prompts/rooms.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_a_probe_names_line_and_field_of_an_unfit_picture(house):
    (house / "images/cut.png").write_bytes(png(RGB, 2)[:900])
    path = written(house, PROBE.format(file="images/cut.png"))
    (problem,) = check_probe(path, house).problems
    assert problem.startswith(f"{path}:4: references.room.file: images/cut.png: the picture is damaged or cut short")
    assert "Fix: " in problem
    good = written(house, PROBE.format(file="images/room.png"))
    assert check_probe(good, house).ok
    (record,) = expand(read_probe(good), house).references
    assert record.file_sha256 == sha256_bytes((house / "images/room.png").read_bytes())


def of_items(file: str, name: str, **fields: str) -> str:
    """The probe with a picture an item."""
    text = PROBE.format(file=f'"{file}"').replace("  room:", f'  "{name}":').replace(": room}}", f': "{name}"}}')
    text = text.replace("reference: room", f'reference: "{name}"')
    for old, new in fields.items():
        text = text.replace(f"x: {old}", new)
    return text


def test_an_item_cannot_lead_out_of_the_repository(house):
    text = of_items("images/{x}", "{id}", red="x: room.png", blue="x: ../../other.png")
    (problem,) = check_probe(written(house, text), house).problems
    assert "images/../../other.png: the file lies outside the repository" in problem


def test_a_picture_that_items_share_is_opened_once(house, monkeypatch):
    opened, real = [], pictures._decoded
    monkeypatch.setattr(pictures, "_decoded", lambda data, name: opened.append(name) or real(data, name))
    text = of_items("images/{kind}.png", "{kind}", red="x: red, kind: room", blue="x: blue, kind: room")
    assert check_probe(written(house, text), house).ok
    assert opened == ["images/room.png"]
