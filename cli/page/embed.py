#!/usr/bin/python3
"""embed.py HTML CSS JS OUT: joins a page and makes C of it, with its Content-Security-Policy, which
allows this style and this script by their hashes alone."""

import base64
import hashlib
import sys


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def digest(text):
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def put(page, mark, text):
    assert page.count(mark) == 1, mark
    assert "</script" not in text and "</style" not in text
    return page.replace(mark, text)


def main(html, css, js, out):
    style, script = read(css), read(js)
    page = put(put(read(html), "/* page.css */", style), "/* page.js */", script).encode()
    policy = "; ".join([
        "default-src 'none'", f"style-src {digest(style)}", f"script-src {digest(script)}",
        "connect-src 'self'", "img-src data:", "base-uri 'none'", "form-action 'none'",
        "frame-ancestors 'none'",
    ])
    rows = [page[i:i + 20] for i in range(0, len(page), 20)]
    with open(out, "w", encoding="ascii") as file:
        file.write("// Made by embed.py.\n\n#include \"page.h\"\n\n")
        file.write(f"const char page_policy[] = \"{policy}\";\n\n")
        file.write(f"const size_t page_bytes = {len(page)};\n\n")
        file.write("const char page_text[] = {\n")
        for row in rows:
            file.write("\t" + " ".join(f"{c if c < 128 else c - 256}," for c in row) + "\n")
        file.write("};\n")


main(*sys.argv[1:])
