#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Manual pages and completions have what the programs, the header and the module have, and nothing else.

    documentation_test.py BUILD [unittest's arguments]
"""
import os
import re
import shutil
import subprocess
import sys
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tools/completions"))
sys.dont_write_bytecode = True
import programs  # noqa: E402

BUILD = ""
PROGRAMS = {"morsel": "tools/morsel/morsel", "mkfs.morselfs": "tools/pool/mkfs.morselfs",
            "fsck.morselfs": "tools/pool/fsck.morselfs", "dump.morselfs": "tools/pool/dump.morselfs"}
HELP = {"-h", "--help"}


def text_of(*path: str) -> str:
    with open(os.path.join(*path)) as file:
        return file.read()


def page(name: str) -> str:
    return text_of(TOP, "docs/man", name + ".scd")


def options_of(page_text: str) -> set:
    section = re.search(r"^# OPTIONS\n(.*?)(?=^# |\Z)", page_text, re.M | re.S).group(1)
    return {name for line in re.findall(r"^\*-.*$", section, re.M) for name in re.findall(r"\*(-[\w-]+)\*", line)}


def names(options: list) -> set:
    return {name for option in options for name in option.names}


def each_command():
    """(program, command) for all there is; the command's name is "" for the program itself."""
    for path in PROGRAMS.values():
        program = programs.read(os.path.join(BUILD, path))
        yield from ((program, command) for command in [program.main, *program.commands])


class Help(unittest.TestCase):
    def test_all_of_it_is_understood(self):
        """What looks like an option at the start of a line of --help is one that programs.py finds."""
        for program, command in each_command():
            text = programs.help_of(os.path.join(BUILD, PROGRAMS[program.name]), *command.name.split())
            seen = {name for line in re.findall(r"^  (-\S+)", text, re.M) for name in line.split(",")}
            self.assertEqual(seen, names(command.options), f"{program.name} {command.name}")
            self.assertLessEqual(HELP, seen)


class Pages(unittest.TestCase):
    def test_options(self):
        for program, command in each_command():
            if command.name:
                expected, name = names(command.options) - HELP, f"{program.name}-{command.name}.1"
            else:
                expected, name = names(command.options), program.name + (".1" if program.commands else ".8")
            self.assertEqual(options_of(page(name)), expected, name)

    def test_commands(self):
        expected = {command.name for program, command in each_command() if command.name}
        self.assertIn("run", expected)
        self.assertEqual(set(re.findall(r"^\*morsel-(\w+)\*\(1\)$", page("morsel.1"), re.M)), expected)
        pages = {name for file in os.listdir(os.path.join(TOP, "docs/man"))
                 for name in re.findall(r"^morsel-(\w+)\.1\.scd$", file)}
        self.assertEqual(pages, expected)

    def test_words_of_arguments(self):
        for program, command in each_command():
            for word in command.words:
                self.assertIn(f"*{word}*".replace("_", r"\_"), page(f"{program.name}-{command.name}.1"))

    def test_functions(self):
        header = text_of(TOP, "lib/include/morsel/morsel.h")
        functions = set(re.findall(r"^MORSEL_API [^;]*?\b(morsel_\w+)\(", header, re.M))
        self.assertGreater(len(functions), 40)
        for function in functions:
            self.assertIn(function + "(", text_of(BUILD, "docs/man/man3", function + ".3"))

    def test_members(self):
        header = text_of(TOP, "lib/include/morsel/morsel.hpp")
        public = re.sub(r"^ private:.*?^};|^namespace detail.*?^}", "", header, flags=re.M | re.S)
        members = set(re.findall(r"^  (?! )(?:static |\[\[nodiscard\]\] |explicit )*[\w:<> ]+[&*]? (\w+)\(", public, re.M))
        members = {member for member in members if member[0].islower() and not member.endswith("_")} - {"what", "bool"}
        self.assertLessEqual({"create", "map", "writable", "send", "make", "promote"}, members)
        for member in members:
            self.assertIn(f"*{member}()*".replace("_", r"\_"), page("morsel-cpp.3"))

    def test_mount_options(self):
        options = set(re.findall(r'fsparam_\w+\("(\w+)"', text_of(TOP, "kernel/super.c")))
        section = page("morselfs.5").split("# MOUNT OPTIONS")[1].split("\n# ")[0].replace("\\", "")
        described = {name for line in re.findall(r"^\*.*$", section, re.M) for name in re.findall(r"\*(\w+)=?\*", line)}
        self.assertEqual(described, options)

    def test_ioctls(self):
        ioctls = set(re.findall(r"^#define (MORSELFS_IOC_\w+)", text_of(TOP, "uapi/morselfs.h"), re.M))
        self.assertEqual(set(re.findall(r"\*(MORSELFS_IOC_\w+)\*", page("morselfs.5").replace("\\", ""))), ioctls)

    def test_format(self):
        text = text_of(BUILD, "docs/man/man5/morselfs-pool.5").replace("\\", "")
        for field in re.findall(r"^\| [\d, ]+\| \d+ \| `(\w+)", text_of(TOP, "docs/format.md"), re.M):
            self.assertIn(field, text)


def complete_in_bash(program: str, *words: str) -> set:
    script = f"""source {BUILD}/tools/completions/bash/{program}; compopt() {{ :; }}
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _{program.replace('.', '_')}; printf '%s\\n' "${{COMPREPLY[@]}}" """
    answer = subprocess.run(["bash", "-c", script, "bash", program, *words], check=True, stdout=subprocess.PIPE,
                            text=True, cwd=TOP)
    return set(answer.stdout.split())


def complete_in_fish(program: str, *words: str) -> set:
    line = " ".join([program, *words])
    script = f"source {BUILD}/tools/completions/fish/{program}.fish; complete -C '{line}'"
    answer = subprocess.run(["fish", "--no-config", "-c", script], check=True, stdout=subprocess.PIPE, text=True, cwd=TOP)
    return {each.split("\t")[0] for each in answer.stdout.splitlines()}


class Completions(unittest.TestCase):
    def check_options(self, complete):
        for program, command in each_command():
            words = command.name.split()
            found = complete(program.name, *words, "-")
            self.assertLessEqual(names(command.options) - {"-h"}, found | {"-h"}, f"{program.name} {words}: {found}")
            long = complete(program.name, *words, "--")
            self.assertLessEqual({name for name in names(command.options) if name.startswith("--")}, long)

    def check_words(self, complete):
        commands = {command.name for program, command in each_command() if command.name}
        self.assertEqual(complete("morsel", ""), commands)
        self.assertEqual(complete("morsel", "l"), {"load", "ls"})
        self.assertEqual(complete("morsel", "load", "--backend", "m"), {"memfd", "morselfs"})
        self.assertIn("within_size", complete("morsel", "huge", "w"))
        self.assertIn("Makefile", complete("morsel", "load", "Makef"))

    def test_bash(self):
        self.check_options(complete_in_bash)
        self.check_words(complete_in_bash)
        self.assertEqual(complete_in_bash("morsel", "load", "--limit", ""), set())
        self.assertIn("Makefile", complete_in_bash("fsck.morselfs", "-a", "Makef"))
        self.assertIn("bash", complete_in_bash("morsel", "run", "--", "bas"))

    @unittest.skipUnless(shutil.which("fish"), "fish is not here")
    def test_fish(self):
        self.check_options(complete_in_fish)
        self.check_words(complete_in_fish)

    def test_zsh(self):
        """It has no way to ask without a terminal: the text has all, and zsh can read it."""
        for program, command in each_command():
            path = os.path.join(BUILD, "tools/completions/zsh", "_" + program.name)
            for name in names(command.options):
                self.assertIn(f"{name}[", text_of(path))
            self.assertTrue(text_of(path).startswith(f"#compdef {program.name}\n"))
            if shutil.which("zsh"):
                subprocess.run(["zsh", "-n", path], check=True)


if __name__ == "__main__":
    BUILD = os.path.abspath(sys.argv.pop(1))
    unittest.main()
