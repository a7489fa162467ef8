"""Which module may know which: the layout of the project, checked on the source itself."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("fileset", "processors", "analysis")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
NAMES = [path.relative_to(ROOT).as_posix() for path in MODULES]


def tree_of(name):
    return ast.parse((ROOT / name).read_text(encoding="utf-8"))


def imported(name):
    """Absolute names that a module imports anywhere in it, relative ones resolved."""
    package = Path(name).parent.parts
    found = set()
    for node in ast.walk(tree_of(name)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, node.module or "")).strip(".")
            found |= {f"{module}.{alias.name}" for alias in node.names}
            # 'from . import x' is about x and not about its package.
            found |= {module} if node.module else set()
    return found


def roots(name):
    return {module.partition(".")[0] for module in imported(name)}


def calls(name):
    return {
        node.func.id
        for node in ast.walk(tree_of(name))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }


def test_there_is_something_to_check():
    assert {name.partition("/")[0] for name in NAMES} == set(PACKAGES)
    assert "coffea" in roots("fileset/coffea_api.py")
    assert "fileset" in roots("processors/nuone.py")
    assert "fileset.formats.base" in imported("fileset/formats/nova_caf.py")
    assert "processors.kernels" in imported("processors/reweight.py")
    assert "print" in calls("analysis/cli/output.py")


@pytest.mark.parametrize("name", NAMES)
def test_imports_point_one_way(name):
    package = PACKAGES.index(name.partition("/")[0])
    assert roots(name).isdisjoint(PACKAGES[package + 1 :])


@pytest.mark.parametrize("name", NAMES)
def test_imports_are_relative_inside_a_package_and_absolute_across(name):
    own = name.partition("/")[0]
    nodes = [n for n in ast.walk(tree_of(name)) if isinstance(n, ast.ImportFrom)]
    assert not [n.module for n in nodes if not n.level and (n.module or "").split(".")[0] == own]


@pytest.mark.parametrize("name", [n for n in NAMES if n != "fileset/coffea_api.py"])
def test_coffea_is_known_to_one_module(name):
    assert "coffea" not in roots(name)


@pytest.mark.parametrize("name", [n for n in NAMES if not n.startswith("analysis/plots/")])
def test_plotting_libraries_are_known_to_one_package(name):
    assert roots(name).isdisjoint({"matplotlib", "mplhep"})


@pytest.mark.parametrize("name", [n for n in NAMES if n.startswith("analysis/")])
def test_event_files_are_opened_by_fileset_alone(name):
    assert "uproot" not in roots(name)


@pytest.mark.parametrize("name", [n for n in NAMES if not n.startswith("analysis/cli/")])
def test_only_the_command_line_prints(name):
    assert "print" not in calls(name)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_pickled(name):
    assert roots(name).isdisjoint({"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"})


@pytest.mark.parametrize("name", NAMES)
def test_no_path_of_some_machine_is_in_the_source(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not re.findall(r"(?<![\w:/.])/(?:home|work|tmp|root|Users|opt|usr|data|mnt)/", text)


@pytest.mark.parametrize("name", NAMES)
def test_modules_say_what_they_are_for(name):
    assert ast.get_docstring(tree_of(name))


def graph(package):
    """Module name to the modules of the package that it imports when it is imported."""
    names = {n.removesuffix(".py").removesuffix("/__init__").replace("/", "."): n for n in NAMES}
    names = {module: name for module, name in names.items() if module.split(".")[0] == package}
    return {
        module: {other for other in imported(name) if other in names and other != module}
        for module, name in names.items()
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_modules_of_a_package_do_not_import_each_other_in_a_circle(package):
    edges = graph(package)
    while leaves := {module for module, others in edges.items() if not others}:
        edges = {m: others - leaves for m, others in edges.items() if m not in leaves}
    assert edges == {}
