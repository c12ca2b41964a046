"""What people read of the settings: the table in docs/configuration.md, and the example file in packaging/.

Refuses to know the programs: they are given to it. `make docs` writes both.
"""

from __future__ import annotations

from collections.abc import Iterable

from shoal.settings.declaring import Program, Setting

BEGIN, END = "<!-- settings: written by `make docs` -->\n", "<!-- end -->\n"

_EXAMPLE_HEAD = """\
# The configuration of Shoal's programs on this machine: /etc/shoal/shoal.toml
#
# Take the # away from what you set. Values are the defaults, or examples where a default stands in words. A flag goes
# before a variable of the environment, that before this file; docs/configuration.md says more.
# Written by `make docs`.
"""

_EXAMPLE_NUMBER = 8


def table(programs: Iterable[Program]) -> str:
    """One table of all settings, by section."""
    lines = [
        "| section | key | flag | environment | kind | default | what |",
        "|---|---|---|---|---|---|---|",
    ]
    for program in programs:
        for setting in program.settings:
            flags = f"`{setting.flag}`" + (f", `{setting.cli_short}`" if setting.cli_short else "")
            if setting.kind == "switch" and not setting.cli_short:
                flags += f", `--no-{setting.name}`"
            variable = f"`{setting.environment}`" if setting.environment else ""
            kind = ", ".join(f"`{choice}`" for choice in setting.choices) or setting.kind
            default = (
                f"`{setting.default_text}`"
                if setting.default_text and not setting.shown
                else setting.default_text
            )
            lines.append(
                f"| {program.section} | `{setting.name}` | {flags} | {variable} | {kind} | {default} | "
                f"{setting.help} |"
            )
    return "\n".join(lines) + "\n"


def with_table(page: str, text: str) -> str:
    """The page with this table between its marks."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}{text}{END}{tail}"


def example(programs: Iterable[Program]) -> str:
    """A configuration file with every setting in it, as a comment; without the `#` before its keys it can be read."""
    programs = list(programs)
    common = dict.fromkeys(setting for program in programs for setting in program.settings if setting.common)
    parts = [_EXAMPLE_HEAD, *(_lines(setting) for setting in common)]
    for program in programs:
        parts.append(f"\n[{program.section}]")
        parts += [_lines(setting) for setting in program.settings if not setting.common]
    return "\n".join(parts) + "\n"


def _lines(setting: Setting) -> str:
    shown = f" (default: {setting.shown})" if setting.shown else ""
    return f"# {setting.help}{shown}\n#{setting.name} = {_toml(setting)}"


def _toml(setting: Setting) -> str:
    value = setting.default
    if setting.kind == "switch":
        return "true" if value else "false"
    if setting.kind in ("integer", "number"):
        return str(value or _EXAMPLE_NUMBER if setting.shown else value)
    return f'"{value or setting.metavar.lower() or setting.name}"'
