"""Hostile text: pieces that parsers trip over, and ways to damage a file that was good."""

import random

PIECES = (
    *("", " ", "\t", "\n", "\r\n", "\r", "\u2028", "\u00a0", "\ufeff", "\0", "\x07", "\x1b[31m"),
    *("\u200b", "\u202e", "\u3164"),
    *("~", "null", "true", "no", "yes", ".inf", "-.inf", ".nan", "1e999", "-0", "0x7f", "0o17", "1_000"),
    *("0b1", "12:30:45"),
    *("9" * 400, "9" * 5000, "1e-999", "2026-13-01", "2026-02-30", "2026-01-01T99:00:00Z", "0001-01-01"),
    *("=", "<<", "-", "---"),
    *("...", "%YAML 9.9", "%TAG ! x", "!!python/object/apply:os.system [true]", "!!binary x"),
    *("!!set {a}", "!!omap [a: 1]"),
    *("!!timestamp x", "!!int x", "!!float x", "!!null x", "!!bool x", "!!pairs [a: 1]", "!x y"),
    *("!<tag:x> y", "!!merge x"),
    *("&a", "*a", "*b", "&a [*a]", "&a {<<: *a}", "<<: 3", "<<: [1, 2]", "? [a]\n: b", "? {a: b}\n: c"),
    *("[[]]: x", "{}", "[]"),
    *("{a}", "{a", "a}", "{{", "}}", "{{a}}", "{a.b}", "{a[0]}", "{a!r}", "{a:>99}", "{}", "{0}", "{id}"),
    *("{creature}", "{ creature }"),
    *("[" * 60, "{" * 60, "[" * 3000, "- " * 200, "'", '"', '"\\ud800"', '"\\x00"', '"\\U0001F600"', "|"),
    *(">", "|9", ">-+", "|-0"),
    *("# x", "@", "`", ",", ":", ": ", "::", "\\", "a" * 70, "a" * 5000, "é", "e\u0301", "ß", "İ", "猫"),
    *("🐈", "\U000e0041", "<|im_end|>"),
    *("id: cat", "role: target", "role: control", "stratum: s", "reference: [kitchen, kitchen]"),
    *("prompt: x", "file: ../x.png"),
    *("file: /etc/passwd", "file: picture.png", "flip_blocks: id", "item", "condition", "sha256"),
    *("__class__", "../../x", "con"),
)  # fmt: skip
"""Text that stands for something in YAML, in a template, in a spreadsheet, or in a terminal."""


def damage(content: bytes, draw: random.Random) -> bytes:
    """``content`` with one to four damages; most leave it close to what it was."""
    for _ in range(draw.choice((1, 1, 1, 2, 2, 3, 4))):
        content = draw.choice(DAMAGES)(content, draw)
    return content[:200_000]


def _place(content: bytes, draw: random.Random) -> tuple[int, int]:
    """Beginning and end of a short piece."""
    begin = draw.randint(0, len(content))
    return begin, min(len(content), begin + int(draw.expovariate(0.15)))


def _flipped(content: bytes, draw: random.Random) -> bytes:
    begin, _ = _place(content, draw)
    return content[:begin] + bytes([draw.randrange(256)]) + content[begin + 1 :]


def _cut(content: bytes, draw: random.Random) -> bytes:
    begin, end = _place(content, draw)
    return content[:begin] + content[end:]


def _ended(content: bytes, draw: random.Random) -> bytes:
    return content[: draw.randint(0, len(content))]


def _put_in(content: bytes, draw: random.Random) -> bytes:
    begin, end = _place(content, draw)
    return content[:begin] + draw.choice(PIECES).encode("utf-8", "surrogatepass") + content[draw.choice((begin, end)) :]


def _word(content: bytes, draw: random.Random) -> bytes:
    """A whole word, or what stands behind a colon, gives way to a piece."""
    words = content.split(draw.choice((b" ", b": ", b"\n", b",", b"\t")))
    words[draw.randrange(len(words))] = draw.choice(PIECES).encode("utf-8", "surrogatepass")
    return b" ".join(words) if draw.random() < 0.1 else (b": " if b": " in content else b",").join(words)


def _line(content: bytes, draw: random.Random) -> bytes:
    """A line is taken out, doubled, moved, or set further in."""
    lines = content.split(b"\n")
    at, to = draw.randrange(len(lines)), draw.randrange(len(lines))
    kind = draw.randrange(4)
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines.insert(to, lines[at])
    elif kind == 2:
        lines.insert(to, lines.pop(at))
    else:
        lines[at] = b" " * draw.randint(1, 9) + lines[at]
    return b"\n".join(lines)


def _value(content: bytes, draw: random.Random) -> bytes:
    """What a line says behind its first colon gives way to a piece."""
    lines = content.split(b"\n")
    at = draw.randrange(len(lines))
    lines[at] = lines[at].partition(b":")[0] + b": " + draw.choice(PIECES).encode("utf-8", "surrogatepass")
    return b"\n".join(lines)


def _swapped(content: bytes, draw: random.Random) -> bytes:
    """Two pieces of the file change places."""
    (a, b), (c, d) = sorted((_place(content, draw), _place(content, draw)))
    return content if b > c else content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


def _recoded(content: bytes, draw: random.Random) -> bytes:
    """As other programs save it."""
    text = content.decode("utf-8", "replace")
    return draw.choice((text.encode("utf-16"), text.encode("latin-1", "replace"), b"\xef\xbb\xbf" + content))


DAMAGES = (_flipped, _cut, _ended, _put_in, _put_in, _word, _line, _line, _value, _value, _value, _swapped, _recoded)
