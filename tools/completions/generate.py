#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Makes completions for bash, zsh and fish of what programs say with --help.

    generate.py OUT PROGRAM...      writes OUT/bash/NAME, OUT/zsh/_NAME, OUT/fish/NAME.fish
"""
import os
import sys

import programs

HEAD = "# SPDX-License-Identifier: MIT\n# Made of what `{} --help` says.\n"


def common(program) -> list:
    """The options that all commands take: the program's own but those about itself."""
    return [option for option in program.main.options if option.names[-1] not in ("--version", "--help")]


def all_options(program, command) -> list:
    return command.options + (common(program) if command.name else [])


# ---------------------------------------------------------------- bash

def bash_values(program) -> str:
    cases, nothing = "", set()
    seen = {}
    for command in [program.main, *program.commands]:
        for option in command.options:
            if option.argument:
                seen[option.names[-1]] = option
    for option in seen.values():
        names = "|".join(option.names)
        if option.choices():
            cases += f'\t{names}) mapfile -t COMPREPLY < <(compgen -W "{" ".join(option.choices())}" -- "$word"); return ;;\n'
        elif option.wants_directory():
            cases += f'\t{names}) mapfile -t COMPREPLY < <(compgen -d -- "$word"); compopt -o filenames; return ;;\n'
        else:
            nothing.add(names)
    if nothing:
        cases += f"\t{'|'.join(sorted(nothing))}) return ;;\n"
    return f'\tcase ${{COMP_WORDS[COMP_CWORD - 1]}} in\n{cases}\tesac\n' if cases else ""


def bash_case(program, command) -> str:
    options = " ".join(name for option in all_options(program, command) for name in option.names)
    words = " ".join(command.words or [each.name for each in program.commands if not command.name])
    files = "yes" if command.arguments else ""
    pattern = command.name or "''"
    return f"\t{pattern}) options='{options}' words='{words}' files={files} ;;\n"


def bash(program) -> str:
    function = "_" + program.name.replace(".", "_")
    cases = "".join(bash_case(program, command) for command in [program.main, *program.commands])
    find = run = ""
    if program.commands:
        find = """	for ((at = 1; at < COMP_CWORD; ++at)); do
		[[ ${COMP_WORDS[at]} == -* ]] || { command=${COMP_WORDS[at]}; break; }
	done
"""
        # What `run` is followed by is a program and its own arguments.
        run = """	if [[ $command == run ]]; then
		for ((++at; at < COMP_CWORD; ++at)); do
			[[ ${COMP_WORDS[at]} == -* ]] || break
			[[ ${COMP_WORDS[at]} != -- ]] || { ((++at)); break; }
		done
		if ((at < COMP_CWORD)); then
			if declare -F _command_offset >/dev/null; then _command_offset "$at"; else compopt -o default; fi
			return
		fi
		[[ $word == -* ]] || { mapfile -t COMPREPLY < <(compgen -c -- "$word"); return; }
	fi
"""
    return HEAD.format(program.name) + f"""{function}() {{
	local word=${{COMP_WORDS[COMP_CWORD]}} command='' options='' words='' files='' at=0
	COMPREPLY=()
{find}{run}{bash_values(program)}	case $command in
{cases}	esac
	if [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
	elif [[ $words && $((COMP_CWORD - at)) -le 1 ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
	elif [[ $files ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		compopt -o filenames
	fi
}}
complete -F {function} {program.name}
"""


# ---------------------------------------------------------------- zsh

def zsh_quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def zsh_options(options: list) -> list:
    lines = []
    for option in options:
        text = "[" + option.text.replace("\\", "\\\\").replace("]", "\\]").replace("[", "\\[") + "]"
        after = ""
        if option.argument:
            how = (f"({' '.join(option.choices())})" if option.choices() else
                   "_files -/" if option.wants_directory() else " ")
            after = f":{option.argument.lower()}:{how}"
        exclusive = f"({' '.join(option.names)})" if len(option.names) > 1 else ""
        lines += [zsh_quote(exclusive + name + text + after) for name in option.names]
    return lines


def zsh_arguments(program, command) -> str:
    lines = zsh_options(all_options(program, command))
    if command.name == "run":
        lines.append("'*::program:_normal'")
    if command.words:
        lines.append(f"'1:word:({' '.join(command.words)})'")
    if command.arguments:
        lines.append("'*:file:_files'")
    return "_arguments -s " + " \\\n\t\t".join(lines)


def zsh(program) -> str:
    function = "_" + program.name
    body = "\t" + zsh_arguments(program, program.main) + "\n"
    if program.commands:
        names = "\n".join("\t\t" + zsh_quote(f"{each.name}:{each.text}") for each in program.commands)
        cases = "".join(f"\t{each.name}) {zsh_arguments(program, each)} ;;\n" for each in program.commands)
        body = f"""	local curcontext=$curcontext state line
	local -a commands=(
{names}
	)
	{zsh_arguments(program, program.main).replace('-s', '-C -s', 1)} \\
		'1:command:->command' '*::argument:->argument' && return
	if [[ $state == command ]]; then
		_describe command commands
		return
	fi
	case $words[1] in
{cases}	esac
"""
    return f"#compdef {program.name}\n" + HEAD.format(program.name) + f'{function}() {{\n{body}}}\n{function} "$@"\n'


# ---------------------------------------------------------------- fish

def fish_quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def fish_options(program, options: list, condition: str) -> str:
    out = ""
    for option in options:
        names = "".join(f" -l {name[2:]}" if name.startswith("--") else f" -s {name[1:]}" for name in option.names)
        value = ""
        if option.argument:
            value = " -x" + (f" -a '{' '.join(option.choices())}'" if option.choices() else
                             " -a '(__fish_complete_directories)'" if option.wants_directory() else "")
        out += f"complete -c {program.name}{condition}{names}{value} -d {fish_quote(option.text)}\n"
    return out


def fish(program) -> str:
    out = HEAD.format(program.name)
    if not program.commands:
        return out + fish_options(program, program.main.options, "")
    out += f"complete -c {program.name} -f\n"
    out += fish_options(program, program.main.options, " -n __fish_use_subcommand")
    for command in program.commands:
        condition = f" -n '__fish_seen_subcommand_from {command.name}'"
        out += (f"complete -c {program.name} -n __fish_use_subcommand -a {command.name} "
                f"-d {fish_quote(command.text)}\n")
        out += fish_options(program, all_options(program, command), condition)
        if command.words:
            out += f"complete -c {program.name}{condition} -a '{' '.join(command.words)}'\n"
        if command.arguments:
            out += f"complete -c {program.name}{condition} -F\n"
        if command.name == "run":
            out += f"complete -c {program.name}{condition} -x -a '(__fish_complete_subcommand)'\n"
    return out


def main() -> None:
    out, *paths = sys.argv[1:]
    for path in paths:
        program = programs.read(path)
        for shell, name, text in [("bash", program.name, bash(program)), ("zsh", "_" + program.name, zsh(program)),
                                  ("fish", program.name + ".fish", fish(program))]:
            os.makedirs(os.path.join(out, shell), exist_ok=True)
            with open(os.path.join(out, shell, name), "w") as file:
                file.write(text)


if __name__ == "__main__":
    main()
