"""Pages of the site that are made from the source: loaded by mkdocs, see ``.ci/mkdocs.yml``.

A page for each package with the docstrings of its modules, one with the help of every verb, and the
changelog.
"""

import argparse
import ast
import functools
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

from analysis.cli.arguments import parser
from analysis.cli.parsing import Help

ROOT = Path(__file__).resolve().parents[1]


def packages() -> dict[str, list[str]]:
    """Packages to their modules, each with itself first."""
    inits = sorted(
        path.parent
        for name in ("fileset", "processors", "analysis")
        for path in (ROOT / name).rglob("__init__.py")
    )
    return {
        _name(folder): [_name(folder)]
        + [_name(path) for path in sorted(folder.glob("*.py")) if path.stem != "__init__"]
        for folder in inits
    }


def module_page(package: str, modules: list[str]) -> str:
    """Page that mkdocstrings fills with what the modules say of themselves."""
    # What a package only passes on is told where it is made.
    own = "\n".join(f"        - {name}" for name in _made_in(package)) or "        []"
    blocks = [f"::: {package}\n    options:\n      members:\n{own}"]
    blocks += [f"::: {module}" for module in modules[1:]]
    return f"# `{package}`\n\n" + "\n\n".join(blocks) + "\n"


def commands_page() -> str:
    """Help of every verb as it is printed."""
    top = parser()
    verbs = [f"## {name}\n\n```text\n{_help(verb)}```\n" for name, verb in top.verbs().items()]
    return f"# Commands\n\n```text\n{_help(top)}```\n\n" + "\n".join(verbs)


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made."""
    made = {
        f"reference/{name}.md": module_page(name, modules) for name, modules in packages().items()
    }
    made["reference/commands.md"] = commands_page()
    made["changelog.md"] = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for path, content in made.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_content(html: str, **_: Any) -> str:
    """Make links of the names that docstrings refer to."""
    return re.sub(
        r":(?:func|class|data|meth|mod|attr):<code>~?([\w.]+)</code>",
        r'<autoref optional identifier="\1"><code>\1</code></autoref>',
        html,
    )


def _help(parser: argparse.ArgumentParser) -> str:
    # As wide as here, whatever the terminal.
    parser.formatter_class = functools.partial(Help, width=100)
    return parser.format_help()


def _made_in(package: str) -> list[str]:
    text = (ROOT / package.replace(".", "/") / "__init__.py").read_text(encoding="utf-8")
    made = (ast.FunctionDef, ast.ClassDef)
    names = [node.name for node in ast.parse(text).body if isinstance(node, made)]
    return [name for name in names if not name.startswith("_")]


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)
