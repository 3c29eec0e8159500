#!/usr/bin/env python3
"""terminal-svg.py TITLE [COMMAND FILE]...: writes a picture of a terminal (SVG) to stdout.

Each FILE is what COMMAND has printed on a terminal, with colors. Lines are wrapped as a terminal of 120 columns does.
"""
import re
import sys
from html import escape

COLUMNS, CHARACTER, LINE, MARGIN = 120, 7.8, 18, 16
STYLES = {
    "1": 'font-weight="bold"',
    "2": 'fill="#8b949e"',
    "31": 'fill="#ff7b72"',
    "32": 'fill="#7ee787"',
    "33": 'fill="#e3b341"',
}


def styled_characters(text):
    """Returns the characters of a line with the styles (SGR parameters) that they have."""
    styles, characters = (), []
    for part in re.split(r"(\x1b\[[0-9;]*m)", text):
        if part.startswith("\x1b"):
            for code in part[2:-1].split(";"):
                styles = () if code in ("", "0") else (*styles, code)
        else:
            characters += [(character, styles) for character in part]
    return characters


def svg_line(characters, number):
    """Returns a line of the screen."""
    spans, x = [], 0
    while x < len(characters):
        styles = characters[x][1]
        end = next((i for i in range(x, len(characters)) if characters[i][1] != styles), len(characters))
        attributes = " ".join(STYLES[code] for code in styles if code in STYLES)
        words = escape("".join(character for character, _ in characters[x:end]))
        if words.strip():
            spans.append(f'<tspan x="{MARGIN + x * CHARACTER:.1f}" {attributes}>{words}</tspan>'.replace(" >", ">"))
        x = end
    return f'<text y="{MARGIN + (number + 1) * LINE}" xml:space="preserve">{"".join(spans)}</text>' if spans else ""


def main():
    title, rest = sys.argv[1], sys.argv[2:]
    lines = []
    for command, file in zip(rest[::2], rest[1::2]):
        lines.append(f"\x1b[2m$\x1b[0m \x1b[1m{command}\x1b[0m")
        lines += open(file, encoding="utf-8").read().rstrip("\n").split("\n") + [""]
    screen = []
    for line in lines[:-1]:
        characters = styled_characters(line)
        screen += [characters[i : i + COLUMNS] for i in range(0, max(len(characters), 1), COLUMNS)]
    width, height = 2 * MARGIN + COLUMNS * CHARACTER, 2 * MARGIN + (len(screen) + 0.5) * LINE
    print(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img" font-size="13" fill="#e6edf3"'
        " font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\">"
    )
    print(f"<title>{escape(title)}</title>")
    print(f'<rect width="{width:.0f}" height="{height:.0f}" rx="8" fill="#0d1117"/>')
    print("\n".join(filter(None, (svg_line(line, number) for number, line in enumerate(screen)))))
    print("</svg>")


main()
