# SPDX-License-Identifier: MIT
"""What a program says about itself with --help: its commands, options and arguments."""
import dataclasses
import re
import subprocess


@dataclasses.dataclass
class Option:
    names: list         # ["-f", "--force"]
    argument: str       # "TEXT", "UINT", ...; "" if it takes none
    text: str

    def choices(self) -> list:
        """What may follow it, if only a few words may."""
        return {"--backend": ["any", "morselfs", "hugetlb", "memfd"], "--uuid": ["random"]}.get(
            self.names[-1], [])

    def wants_directory(self) -> bool:
        return self.names[-1] in ("--directory", "--mount")


@dataclasses.dataclass
class Command:
    name: str           # "" for the program itself
    text: str
    options: list = dataclasses.field(default_factory=list)
    words: list = dataclasses.field(default_factory=list)  # of the first argument, if only these may be
    arguments: bool = False  # files come after that


@dataclasses.dataclass
class Program:
    name: str
    main: Command
    commands: list


def help_of(path: str, *command: str) -> str:
    return subprocess.run([path, *command, "--help"], check=True, stdout=subprocess.PIPE, text=True).stdout


def entries(text: str, title: str) -> list:
    """The entries below a title, each as one line."""
    found = re.search(rf"^{title}:\n((?:  .*\n)+)", text, re.M)
    lines = re.split(r"\n  (?=\S)", "\n" + found.group(1).rstrip()) if found else []
    return [line for line in lines if line]


def parse(name: str, summary: str, text: str) -> Command:
    command = Command(name, summary)
    for entry in entries(text, "Options"):
        names, rest = re.match(r"(\S+)\s*(.*)", entry, re.S).groups()
        argument = re.match(r"(TEXT|UINT|INT|FLOAT)\b\S*( in \[.*?\])?\s*", rest)
        rest = rest[argument.end():] if argument else rest
        rest = re.sub(r"^Excludes:( -\S+| [A-Z]+\b)+\s*", "", rest)
        command.options.append(Option(names.split(","), argument.group(1) if argument else "",
                                      " ".join(rest.split())))
    for entry in entries(text, "Positionals"):
        words = re.match(r"\S+ TEXT:\{(.*?)\}", entry)
        if words:
            command.words = words.group(1).split(",")
        else:
            command.arguments = True
    return command


def read(path: str) -> Program:
    """The program at that path, and all its commands."""
    text = help_of(path)
    main = parse("", "", text)
    commands = []
    for entry in entries(text, "Subcommands"):
        name, summary = entry.split(None, 1)
        commands.append(parse(name, summary.split("\n")[0].rstrip(":"), help_of(path, name)))
    return Program(path.rsplit("/", 1)[-1], main, commands)
