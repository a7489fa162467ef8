"""What a result depends on besides its input, as text: code, versions, and values in memory.

Code in files is followed through imports, so that a changed cut counts in whichever file it is.
What was made or changed in memory, in a notebook say, is described by its byte code and the values
that it uses. What cannot be described is taken for different from everything else: a result is
then made again rather than taken for another one.
"""

import ast
import functools
import hashlib
import importlib.metadata
import importlib.util
import inspect
import logging
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

log = logging.getLogger(__name__)

OURS = ("fileset", "processors")
"""Packages whose source is followed even where they are installed."""

# Times of files are those of the last tick of the system.
_LOADED = time.time() - 0.02
_UNLIKE_ANY_OTHER = f"process {os.getpid()} of {_LOADED}"
# What functions are inside of objects that stand for them.
_INSIDE = ("func", "args", "keywords", "__func__", "__self__", "fget", "py_func", "__wrapped__")
_NOT_CODE = {"__module__", "__dict__", "__weakref__", "__doc__", "__firstlineno__", "_abc_impl"}


def fingerprint(*values: Any, modules: Iterable[str] = ()) -> str:
    """Digest of values, of all code behind them, and of the versions of what that is built on.

    Parameters
    ----------
    *values
        Functions, classes, and objects and containers of them.
    modules : iterable of str
        More modules whose source, with all that they import, decides about the result.

    Returns
    -------
    str
        Hexadecimal sha256.
    """
    met = set(modules)
    parts = [platform.python_version(), describe(values, met), sources(frozenset(met))]
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()


def files_of(value: Any) -> str:
    """Digest of the source behind a value alone, whatever it is set to."""
    met: set[str] = set()
    describe([type(value).__mro__, vars(value)], met)
    return hashlib.sha256(repr(sources(frozenset(met))).encode()).hexdigest()


def describe(value: Any, met: set[str], seen: dict[int, tuple[int, Any]] | None = None) -> str:
    """What a value is, alike in every process that has the same.

    Parameters
    ----------
    value
        Anything.
    met : set of str
        Modules that it comes from and uses are added.
    seen : dict, optional
        Objects that were described before, by their identity.

    Returns
    -------
    str
    """
    seen = {} if seen is None else seen
    inner = functools.partial(describe, met=met, seen=seen)
    if (text := _constant(value, inner)) is not None:
        return text
    if id(value) in seen:
        return f"#{seen[id(value)][0]}"
    # Kept, so that nothing else takes its place in memory.
    seen[id(value)] = len(seen), value
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{inner(k)}: {inner(v)}' for k, v in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(inner, value))}]"
    if isinstance(value, ModuleType):
        met.add(value.__name__)
        return f"module {value.__name__}"
    met.add(getattr(value, "__module__", None) or type(value).__module__)
    if isinstance(value, FunctionType):
        return f"{value.__qualname__}({', '.join(map(inner, _of_function(value)))})"
    if isinstance(value, type):
        own = {} if _is_followed(value.__module__) else _of_class(value)
        return f"class {value.__module__}.{value.__qualname__} {inner(own)}"
    return _object(value, inner)


def _constant(value: Any, inner: Callable[[Any], str]) -> str | None:
    """Text of what is compared by value: whether it is one object or several does not count."""
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | np.generic):
        return repr(value)
    if isinstance(value, tuple):
        return f"{type(value).__name__}({', '.join(map(inner, value))})"
    if isinstance(value, Set):
        return f"{{{', '.join(sorted(map(inner, value)))}}}"
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return f"{value.dtype.str} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
    if isinstance(value, CodeType):
        names = (value.co_names, value.co_varnames, value.co_freevars)
        return f"{value.co_code.hex()} {names} {inner(value.co_consts)}"
    return None


def _of_function(function: FunctionType) -> Iterator[Any]:
    """What a function does and uses."""
    yield function.__code__
    yield function.__defaults__
    yield function.__kwdefaults__
    try:
        yield [cell.cell_contents for cell in function.__closure__ or ()]
    except ValueError:
        yield "not bound yet"
    names = sorted(_names(function.__code__))
    known = {n: function.__globals__[n] for n in names if n in function.__globals__}
    for name, value in known.items():
        # The source of what comes from a followed file says it all.
        origin = getattr(value, "__module__", None)
        yield name, _reference(value) if _is_followed(origin) else value
        if isinstance(value, ModuleType):
            yield _of_module(value, names)


def _of_module(module: ModuleType, names: list[str]) -> dict[str, Any]:
    """What of these names a user's module has, now: it may not be what is in its file."""
    if _is_followed(module.__name__):
        return {}
    found = {n: getattr(module, n) for n in names if hasattr(module, n)}
    own = [n for n, v in found.items() if isinstance(v, ModuleType) and v is not module]
    inner = {f"in {n}": _of_module(found[n], [m for m in names if m != n]) for n in own}
    return found | inner


def _reference(value: Any) -> tuple[Any, str]:
    module = sys.modules.get(value.__module__, value.__module__)
    return module, getattr(value, "__qualname__", type(value).__qualname__)


def _names(code: CodeType) -> set[str]:
    """Names that a function and those inside it look up."""
    inner = (_names(constant) for constant in code.co_consts if inspect.iscode(constant))
    return set(code.co_names).union(*inner)


def _of_class(value: type) -> dict[str, Any]:
    own = {n: v for n, v in vars(value).items() if n not in _NOT_CODE}
    return own | {"__bases__": value.__bases__}


def _object(value: Any, inner: Callable[[Any], str]) -> str:
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if hasattr(value, "edges") and hasattr(value, "traits"):
        return f"{kind} {inner(np.asarray(value.edges))} {value.traits!r} {value.name}"
    if dispatcher := getattr(value, "_dispatcher", None):
        return f"{kind} {inner(getattr(dispatcher, 'py_func', None))}"
    if isinstance(value, np.ufunc) or inspect.isbuiltin(value):
        return f"{kind} {value.__name__}"
    if parts := [getattr(value, name) for name in _INSIDE if hasattr(value, name)]:
        return f"{kind} {inner(parts)}"
    try:
        reduced = value.__reduce_ex__(2)
    # Whatever an object's own method may raise: it has no state that could be compared.
    except Exception:
        log.warning("%s cannot be compared between runs: nothing that uses it is reused", kind)
        return f"{kind} {_UNLIKE_ANY_OTHER}"
    if isinstance(reduced, str):
        return f"{kind} {reduced}"
    return f"{kind} {inner([list(p) if isinstance(p, Iterator) else p for p in reduced])}"


@functools.cache
def _is_followed(module: str | None) -> bool:
    """Whether all of a module is known by its source or version: not that of a user, in memory."""
    if not module:
        return False
    top = module.partition(".")[0]
    return top in OURS or top in sys.stdlib_module_names or _is_installed(top)


@functools.cache
def _home(top: str) -> Path | None:
    """File of a module, or folder of a package; None if there is none."""
    if (module := sys.modules.get(top)) is not None:
        folders, file = getattr(module, "__path__", ()), getattr(module, "__file__", None)
    elif (spec := importlib.util.find_spec(top)) is not None:
        folders, file = spec.submodule_search_locations or (), spec.origin
    else:
        return None
    found = next(iter(folders), file)
    return Path(found).absolute() if found else None


def _is_installed(top: str) -> bool:
    home = _home(top)
    return home is not None and not {"site-packages", "dist-packages"}.isdisjoint(home.parts)


def sources(modules: frozenset[str]) -> dict[str, str]:
    """Source digests of modules and of all that they import, and versions of what is installed.

    Parameters
    ----------
    modules : frozenset of str

    Returns
    -------
    dict of str to str
        Module name to the digest of its source, or distribution to its version and content. The
        standard library is that of the version of Python.
    """
    found: dict[str, str] = {}
    installed: set[str] = set()
    todo = set(modules)
    while todo:
        name = todo.pop()
        top = name.partition(".")[0]
        if name in found or top in sys.stdlib_module_names:
            continue
        if top not in OURS and _is_installed(top):
            installed.add(top)
            continue
        path = _source_file(name)
        if path is not None:
            found[name], imported = _read(name, path, path.stat().st_mtime_ns)
            todo |= imported
    return dict(sorted(found.items())) | _versions(frozenset(installed))


def _source_file(name: str) -> Path | None:
    home = _home(name.partition(".")[0])
    if home is None or home.is_file():
        return home
    path = home.joinpath(*name.split(".")[1:])
    files = (path / "__init__.py", path.with_name(f"{path.name}.py"))
    return next((file for file in files if file.is_file()), None)


def _is_package(name: str) -> bool:
    source = _source_file(name)
    return source is None or source.name == "__init__.py"


@functools.cache
def _read(name: str, path: Path, changed: int) -> tuple[str, frozenset[str]]:
    """Digest of a source file, and the modules that it may import."""
    text = path.read_bytes()
    digest = hashlib.sha256(text).hexdigest()
    if changed > _LOADED * 1e9:
        # What is in memory may be older than the file.
        log.warning("%s changed after the start: what is made of it now is not reused", path)
        digest += _UNLIKE_ANY_OTHER
    try:
        tree = ast.parse(text)
    # Compiled, or of another language.
    except (SyntaxError, ValueError):
        return digest, frozenset()
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    imported: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            imported.add(module)
            # Names in a package may be modules, those in a module are not.
            if _is_package(module):
                imported |= {f"{module}.{alias.name}" for alias in node.names}
    parents = {m.rsplit(".", n)[0] for m in imported for n in range(1, m.count(".") + 1)}
    return digest, frozenset(imported | parents)


@functools.cache
def _versions(tops: frozenset[str]) -> dict[str, str]:
    """Version and list of files of each distribution that top-level modules come from."""
    known = importlib.metadata.packages_distributions()
    versions = {}
    for name in sorted({name for top in tops for name in known.get(top, ())}):
        distribution = importlib.metadata.distribution(name)
        files = (distribution.read_text("RECORD") or "").encode()
        versions[f"installed {name}"] = (
            f"{distribution.version} {hashlib.sha256(files).hexdigest()}"
        )
    return versions
