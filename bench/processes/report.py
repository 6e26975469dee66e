# SPDX-License-Identifier: MIT
"""The rows about processes as a table."""

from sizes import human_bytes, human_us
from tables import as_markdown, as_text

COLUMNS = {"ready_us": "ready", "last_ready_us": "the last one", "together_us": "all at once",
           "fork_us": "fork", "exit_us": "exit"}


def table_of(rows: list) -> list:
    table = [["system", "object", "processes", *COLUMNS.values(), "page tables each"]]
    for row in sorted(rows, key=lambda row: (row["bytes"], row["processes"])):
        table.append([row["system"], human_bytes(row["bytes"]), str(row["processes"]),
                      *(human_us(row[name]) for name in COLUMNS), human_bytes(row["table_bytes"])])
    return table


def text(rows: list) -> str:
    return as_text(table_of(rows))


def markdown(rows: list) -> str:
    return as_markdown(table_of(rows))
