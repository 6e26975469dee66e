# SPDX-License-Identifier: MIT
"""Contended locks, from /proc/lock_stat (the kernel's Documentation/locking/lockstat.rst): classes of locks, and
for each up to four places where somebody waited."""

import re

from scale import locks

CLASS = re.compile(r"^\s*(\S.*?):\s+(\d+)\s+(\d+)\s")  # con-bounces, contentions
RULE = re.compile(r"^\s*-{3,}\s*$")  # above the places where it was waited, and above those where it was held
PLACE = re.compile(r"^\s*\S.*?\s+(\d+)\s+\[<[^>]*>\] (\S+?)\+0x[0-9a-f]+/0x[0-9a-f]+(?: (\[\w+\]))?\s*$")


def contended(text: str) -> list:
    """[kind, class and place, how often], the most often first. Waits at a class's fifth place and further have
    no place."""
    found = []
    name, left, rules = "", 0, 0

    def rest():
        if left > 0:
            found.append(["kernel", f"{name} elsewhere", left])

    for line in text.splitlines():
        if match := CLASS.match(line):
            rest()
            name, left, rules = match[1], int(match[3]), 0
        elif RULE.match(line):
            rules += 1
        elif rules == 1 and (match := PLACE.match(line)):
            place = f"{match[2]} {match[3]}" if match[3] else match[2]
            found.append([locks.kind([place]), f"{name} in {place}", int(match[1])])
            left -= int(match[1])
    rest()
    return sorted(found, key=lambda row: -row[2])
