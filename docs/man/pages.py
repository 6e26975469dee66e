#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Makes the manual pages, by scdoc.

    pages.py OUT      writes OUT/man1, man3, man5 and man8

Of the pages *.scd here; of morsel.h, a page for each section of it, to which each function's name
leads; and of docs/format.md, morselfs-pool(5).

In the header a section begins with a comment '--- NAME ---'; a comment belongs to the declarations
that follow it without an empty line.
"""
import glob
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
HEADER = os.path.join(HERE, "../../lib/include/morsel/morsel.h")
FORMAT = os.path.join(HERE, "../format.md")


def escape(text: str) -> str:
    return re.sub(r"([\\*_])|^(?=[-#|:\[\]])", r"\\\1", text)


def inline(text: str) -> str:
    """Markdown within a line: `code` and **strong** words, *emphasis*, [links](elsewhere)."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)
    out = ""
    for part in re.split(r"(`[^`]+`|\*\*[^*]+\*\*|\*[^*\s]+\*)", text):
        mark = "*" if part.startswith(("`", "**")) else "_" if part.startswith("*") and len(part) > 1 else ""
        out += mark + escape(part.strip("`*") if mark else part) + mark
    return out


# ---------------------------------------------------------------- the header

def split_sections(path: str) -> dict:
    """The header's items by section: ("comment", lines) and ("code", lines), and "" between them."""
    with open(path) as file:
        text = file.read()
    text = text[text.index("*/") + 2:]  # without the licence
    sections = {}
    items = sections.setdefault("", [])
    lines = iter(text.splitlines())
    for line in lines:
        if not line.strip():
            items.append(("", []))
        elif line.startswith("/*"):
            block = [line]
            while "*/" not in block[-1]:
                block.append(next(lines))
            content = [re.sub(r"^ ?\*( |$)|^/\* ?", "", each.replace("*/", "").rstrip()) for each in block]
            title = re.match(r"--- (.+?) -+", content[0])
            if title:
                items = sections.setdefault(title.group(1), [])
            else:
                items.append(("comment", content))
        elif line.startswith("#") or line in ("}", 'extern "C" {'):
            if items and items[-1][0] == "comment":
                items.pop()  # about a macro
            while line.endswith("\\"):
                line = next(lines)
        else:
            block = [line]
            while not re.search(r"^[^ ].*;$|^  .*\);$", block[-1]) or block[-1].count("}") < block[0].count("{"):
                block.append(next(lines))
            indent = len("MORSEL_API ") if block[0].startswith("MORSEL_API ") else 0
            items.append(("code", [block[0].replace("MORSEL_API ", "").replace("MORSEL_ENUM_BASE ", "")]
                          + [each[indent:] for each in block[1:]]))
    return sections


def functions(items: list) -> list:
    return [name for kind, lines in items if kind == "code"
            for name in re.findall(r"\b(morsel_\w+)\(", lines[0]) if not lines[0].startswith("typedef")]


def paragraphs(lines: list) -> str:
    """A comment's text; what is indented there stays as it is."""
    out = ""
    literal = False
    for line in lines:
        if line.startswith("  ") != literal and line:
            literal = not literal
            out += "\n```\n" if literal else "```\n\n"
        out += (line if literal else inline(line.strip())) + "\n"
    return out.strip("\n") + ("\n```" if literal else "") + "\n\n"


def describe(items: list) -> str:
    """Each group of declarations, then the comment that stands above it in the header."""
    out, comment, code = "", [], []
    for kind, lines in items + [("", [])]:
        if kind == "code":
            code += lines
            continue
        if code:
            out += "```\n" + "\n".join(code) + "\n```\n\n"
        if code or kind != "comment":
            out += paragraphs(comment) if comment else ""
            comment = []
        code = []
        if kind == "comment":
            out += paragraphs(comment) if comment else ""
            comment = lines
    return out


def page_of(section: str) -> str:
    return "morsel-" + section.split()[-1] if section else "libmorsel"


def library(sections: dict, section: str) -> str:
    page = page_of(section)
    title = section or "large memory objects that processes share"
    out = f"{page}(3)\n\n# NAME\n\n"
    out += ", ".join(escape(name) for name in [page] + functions(sections[section])) + f" - {title}\n\n"
    out += "# SYNOPSIS\n\n*#include <morsel/morsel.h>*\n\ncc FILE.c $(pkg-config --cflags --libs morsel)\n\n"
    out += "# DESCRIPTION\n\n" + describe(sections[section])
    out += "# SEE ALSO\n\n" + ", ".join(
        f"*{each}*(3)" for each in [*map(page_of, sections), "morsel-cpp"] if each != page) + "\n"
    return out


# ---------------------------------------------------------------- docs/format.md

def table(rows: list) -> str:
    cells = [[cell.strip() for cell in row.strip().strip("|").split("|")] for row in rows]
    cells = [row for row in cells if not all(re.fullmatch("-+", cell) for cell in row)]
    if not any(cells[0]):
        del cells[0]
    last = len(cells[0]) - 1
    return "".join(f"{':' if column else '|'}{'<' if column == last else '['} {inline(cell)}\n"
                   for row in cells for column, cell in enumerate(row)) + "\n"


def format_page(path: str) -> str:
    with open(path) as file:
        lines = file.read().splitlines()
    out = "morselfs-pool(5)\n\n# NAME\n\nmorselfs-pool - the on-media format of a pool, version 1\n\n# DESCRIPTION\n\n"
    rows = []
    for line in lines[1:]:
        if line.startswith("|"):
            rows.append(line)
            continue
        if rows:
            out += table(rows)
            rows = []
        out += "# " + line[3:].upper() + "\n" if line.startswith("## ") else inline(line) + "\n"
    out += (table(rows) if rows else "") + "\n# SEE ALSO\n\n"
    return out + "*morselfs*(5), *mkfs.morselfs*(8), *fsck.morselfs*(8), *dump.morselfs*(8)\n"


def write_page(name: str, source: str, out: str) -> None:
    folder = os.path.join(out, "man" + name[-1])
    os.makedirs(folder, exist_ok=True)
    page = subprocess.run(["scdoc"], input=source, stdout=subprocess.PIPE, text=True)
    if page.returncode:
        sys.exit(f"{name}: scdoc failed; the source was:\n{source}")
    with open(os.path.join(folder, name), "w") as file:
        file.write(page.stdout)


def main() -> None:
    out = sys.argv[1]
    for folder in glob.glob(os.path.join(out, "man[1-8]")):
        shutil.rmtree(folder)
    for path in glob.glob(os.path.join(HERE, "*.scd")):
        with open(path) as file:
            write_page(os.path.basename(path).removesuffix(".scd"), file.read(), out)
    sections = split_sections(HEADER)
    for section, items in sections.items():
        page = page_of(section)
        write_page(f"{page}.3", library(sections, section), out)
        for function in functions(items):
            os.symlink(f"{page}.3", os.path.join(out, "man3", f"{function}.3"))
    write_page("morselfs-pool.5", format_page(FORMAT), out)


if __name__ == "__main__":
    main()
