# SPDX-License-Identifier: MIT
"""Parts of README.md that commands write, between markers."""


def replace_between(text: str, name: str, new: str) -> str:
    """ValueError if the text has no such markers."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    head, found_begin, rest = text.partition(begin)
    _, found_end, tail = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"README.md lacks the markers {begin} and {end}")
    return f"{head}{begin}\n{new}\n{end}{tail}"
