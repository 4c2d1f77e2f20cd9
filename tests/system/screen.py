# SPDX-License-Identifier: MIT
"""Reads text off a screen: QEMU's screendump, by the letters of kernel/font.c and the rules of kernel/text_screen.h."""
import os
import re
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COLUMNS_WANTED, CELL_WIDTH, CELL_HEIGHT = 80, 6, 10
FONT_WIDTH, FONT_HEIGHT = 5, 8
FOREGROUND, BACKGROUND = b"\xc0\xc0\xc0", b"\x00\x00\x00"


def glyphs():
    """{rows of a letter: letter}"""
    with open(os.path.join(ROOT, "kernel", "font.c"), encoding="ascii") as file:
        rows = re.findall(r"^    GLYPH\(([01, ]+)\)", file.read(), re.M)
    assert len(rows) == 96, f"{len(rows)} letters in font.c"
    return {tuple(row.split(", ")): chr(32 + index) for index, row in enumerate(rows)}


class NoText(Exception):
    """Pixels that are no letters of ours."""


class Screen:
    """What a PPM shows. Pixels in neither of the two colours are an error: the screen has nothing but text."""

    def __init__(self, ppm):
        match = re.match(rb"P6\n(\d+) (\d+)\n255\n", ppm)
        self.width, self.height = int(match[1]), int(match[2])
        self._pixels = ppm[match.end():]
        self.scale = max(1, self.width // (COLUMNS_WANTED * CELL_WIDTH))
        self.columns = self.width // self.scale // CELL_WIDTH
        self.rows = self.height // self.scale // CELL_HEIGHT
        self._glyphs = glyphs()

    def _pixel(self, x, y):
        at = 3 * (y * self.width + x)
        return self._pixels[at:at + 3]

    def _letter(self, column, row):
        left, top = column * CELL_WIDTH * self.scale, row * CELL_HEIGHT * self.scale
        found = []
        for y in range(CELL_HEIGHT):
            line = ""
            for x in range(CELL_WIDTH):
                pixel = self._pixel(left + x * self.scale, top + y * self.scale)
                if pixel not in (FOREGROUND, BACKGROUND):
                    raise NoText(f"a pixel of colour {pixel.hex()} in letter {column} of line {row}")
                line += "1" if pixel == FOREGROUND else "0"
            found.append(line)
        letter = self._glyphs.get(tuple(line[:FONT_WIDTH] for line in found[:FONT_HEIGHT]))
        between = "".join(line[FONT_WIDTH:] for line in found[:FONT_HEIGHT]) + "".join(found[FONT_HEIGHT:])
        if letter is None or "1" in between:
            raise NoText(f"no letter of the font is at {column} in line {row}: {found}")
        return letter

    def lines(self):
        """All lines of text, without blanks at their ends."""
        return ["".join(self._letter(column, row) for column in range(self.columns)).rstrip() for row in range(self.rows)]


def dump(guest):
    """The guest's screen now."""
    with tempfile.TemporaryDirectory() as folder:
        name = os.path.join(folder, "screen.ppm")
        guest.qmp("screendump", filename=name)
        with open(name, "rb") as file:
            return Screen(file.read())
