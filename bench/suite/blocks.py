# SPDX-License-Identifier: MIT
"""A document as a list of blocks, written as Markdown or as HTML."""

from dataclasses import dataclass
from html import escape

STYLE = """body { font: 15px/1.5 sans-serif; max-width: 75em; margin: 2em auto; padding: 0 1em }
table { border-collapse: collapse; margin: 1em 0 } td, th { padding: .2em .7em; text-align: right }
td:first-child, th:first-child { text-align: left } tr:nth-child(even) { background: #f4f4f4 }
img { max-width: 100% }"""


@dataclass
class Heading:
    level: int
    text: str

    def markdown(self) -> str:
        return f"{'#' * self.level} {self.text}"

    def html(self) -> str:
        return f"<h{self.level}>{escape(self.text)}</h{self.level}>"


@dataclass
class Paragraph:
    text: str

    def markdown(self) -> str:
        return self.text

    def html(self) -> str:
        return f"<p>{escape(self.text)}</p>"


@dataclass
class Items:
    lines: list

    def markdown(self) -> str:
        return "\n".join(f"- {line}" for line in self.lines)

    def html(self) -> str:
        return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in self.lines) + "</ul>"


@dataclass
class Table:
    rows: list  # of lists of strings; the first one is the head

    def markdown(self) -> str:
        lines = ["| " + " | ".join(row) + " |" for row in self.rows]
        lines.insert(1, "|---|" + "---:|" * (len(self.rows[0]) - 1))
        return "\n".join(lines)

    def html(self) -> str:
        def cells(row: list, tag: str) -> str:
            return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row) + "</tr>"
        head, *body = self.rows
        return "<table>" + cells(head, "th") + "".join(cells(row, "td") for row in body) + "</table>"


@dataclass
class Picture:
    file: str
    text: str

    def markdown(self) -> str:
        return f"![{self.text}]({self.file})"

    def html(self) -> str:
        return f'<p><img src="{escape(self.file)}" alt="{escape(self.text)}"></p>'


def as_markdown(blocks: list, comment: str) -> str:
    return "\n\n".join([f"<!-- SPDX-License-Identifier: MIT -->\n<!-- {comment} -->",
                        *(block.markdown() for block in blocks)]) + "\n"


def as_html(blocks: list, title: str) -> str:
    body = "\n".join(block.html() for block in blocks)
    return (f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>\n'
            f"<style>{STYLE}</style>\n{body}\n</html>\n")
