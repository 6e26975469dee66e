# SPDX-License-Identifier: MIT
"""Plants bugs into copies of the sources, one at a time, and asks whether something finds each.

For the two provers, sim/prove-mutants and tests/core/prove-mutants.
"""

import concurrent.futures
import os
import shutil

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(TOP, "build/mutants")


def plant(name: str, changes, parts) -> str:
    """Copies `parts` of the tree to a room of their own, and makes there the changes, each of them
    (file, what is there, what stands there instead)."""
    room = os.path.join(BUILD, name)
    shutil.rmtree(room, ignore_errors=True)
    for part in parts:
        shutil.copytree(os.path.join(TOP, part), os.path.join(room, part))
    for path, there, instead in changes:
        path = os.path.join(room, path)
        with open(path) as file:
            text = file.read()
        if text.count(there) != 1:
            raise SystemExit(f"{name}: {text.count(there)} times in {path}: {there}")
        with open(path, "w") as file:
            file.write(text.replace(there, instead))
    return room


def prove(mutants, parts, look_for, names) -> int:
    """`look_for(room, name)` says if the bug was found, and how. Returns 0 if all were, and nothing
    was where none is."""
    names = names or list(mutants)
    yes, said = look_for(plant("nothing", [], parts), "nothing")
    if yes:
        print(f"without any bug planted:\n    {said}")
        return 1
    found = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda name: look_for(plant(name, mutants[name], parts), name), names)
        for name, (yes, said) in zip(names, results):
            found += yes
            print(f"{'found' if yes else 'NOT FOUND'}  {name}\n    {said}", flush=True)
    print(f"{found} found, {len(names) - found} not found")
    return found != len(names)
