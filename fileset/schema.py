"""Nested records from dotted branch names: the coffea schema of Common Analysis Files.

A branch ``rec.vtx.elastic.fuzzyk.png.shwlid.calE`` becomes
``events.vtx.elastic.fuzzyk.png.shwlid.calE``. Members of a list in the original object arrive as
one jagged branch each, flattened over all lists around them, and become a list of records again.
What is a list, and how long, is told by

* its companion ``<list>..length``, the flat-CAF way (cafana/SRProxy, ``FlatBasicTypes.h``): one
  number per entry or, for a list inside a list, per element of the list around it; any depth;
* :attr:`CAFSchema.lists` where an outer list has no companion. Its lengths come from the content,
  never from counters such as ``nprim``, which some productions lack.

Fields of an RNTuple are nested as they are; here each leaf of them gets to be read on its own.
"""

from collections.abc import Callable, Container, Iterator, Mapping
from typing import Any, ClassVar
from urllib.parse import quote

import awkward as ak
import numpy as np

from .coffea_api import BaseSchema, counts2offsets_form, listarray_form, nanoevents
from .columns import describe
from .errors import InputError

Form = dict[str, Any]

LENGTH = "..length"
_TOTAL = "..totarraysize"
# Written beside the lengths and not needed; the last one has no list even inside lists.
_UNUSED = ("..idx", _TOTAL)
# Parameter of events that are elements already.
_UNFOLDED = "unfolded"


class CAFSchema(BaseSchema):
    """coffea schema for dotted branch names and for nested fields.

    Attributes
    ----------
    prefix : str
        Dropped from the front of every name.
    lists : frozenset of str
        Dotted paths, without prefix, of the lists that have no companion ``..length``.
    """

    prefix: ClassVar[str] = "rec."
    lists: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, base_form: Form, *args: Any, **kwargs: Any) -> None:
        super().__init__(base_form, *args, **kwargs)
        branches = dict(zip(self._form["fields"], self._form["contents"], strict=True))
        uncut = _uncut(branches)
        # A split object gives 'rec', 'rec/slc' and 'rec/slc/slc.calE', with 'rec.' in front of the
        # last components if its branch is 'rec.'.
        split = {name[:i] for name in branches for i, c in enumerate(name) if c == "/"}
        leaves: dict[str, Form] = {}
        for name, form in branches.items():
            short = name.rsplit("/", 1)[-1]
            unused = short.endswith(_UNUSED) or self._is_counter(name, branches)
            if not (unused or uncut(short) or name in split):
                leaves |= self._fields(short, _by_leaf(form, name, base_form.get("typenames")))
        record = self._record(leaves, path="", inside=False)
        self._form["fields"], self._form["contents"] = record["fields"], record["contents"]

    def _is_counter(self, name: str, branches: Mapping[str, Form]) -> bool:
        # As written by uproot.
        return name.startswith(f"n{self.prefix}") or (name[:1] == "n" and name[1:] in branches)

    def _fields(self, name: str, form: Form) -> dict[str, Form]:
        """Forms by name without prefix, which a nested field has as its own name."""
        if f"{name}." == self.prefix and form["class"] == "RecordArray":
            return dict(zip(form["fields"], form["contents"], strict=True))
        return {name.removeprefix(self.prefix): form}

    def _record(self, leaves: Mapping[str, Form], path: str, inside: bool) -> Form:
        """Form of a record whose members are ``leaves``, keyed by their path below ``path``."""
        groups: dict[str, dict[str, Form]] = {}
        for name, form in leaves.items():
            head, rest = _split(name)
            groups.setdefault(head, {})[rest] = form
        fields = {
            head: member
            for head, members in groups.items()
            if (member := self._member(members, f"{path}.{head}".lstrip("."), inside)) is not None
        }
        return {
            "class": "RecordArray",
            "fields": list(fields),
            "contents": list(fields.values()),
            "parameters": {},
            "form_key": f"!invalid,{path or 'events'}",
        }

    def _member(self, members: dict[str, Form], path: str, inside: bool) -> Form | None:
        """Form of one member: a leaf, a record or a list; ``inside`` another list or not."""
        lengths = members.pop(LENGTH, None)
        if not members:
            return None
        if lengths is not None and not _is_list(lengths):
            # Inside a list the content is bare already: it was flattened over all levels.
            bare = members if inside else _contents(members)
            content = self._content(bare, path)
            return listarray_form(content, counts2offsets_form(lengths)) if bare else None
        if path in self.lists and self._is_list_of(members, path):
            # Members share their offsets, except those of the lists inside.
            outer = next(form for name, form in members.items() if not _is_deeper(name, members))
            content = self._content(_contents(members), path)
            return {k: outer[k] for k in ("class", "offsets", "form_key")} | {"content": content}
        return members[""] if "" in members else self._record(members, path, inside)

    def _is_list_of(self, members: Mapping[str, Form], path: str) -> bool:
        """Whether members are those of a list, and not of a list inside what could be one."""
        if not all(_is_list(form) for form in members.values()):
            return False
        begin = f"{path}."
        deeper = (other.removeprefix(begin) for other in self.lists if other.startswith(begin))
        inner = tuple(f"{other}." for other in deeper)
        return not all(
            name.startswith(inner) and not _is_list(form["content"])
            for name, form in members.items()
        )

    def _content(self, members: Mapping[str, Form], path: str) -> Form:
        return members[""] if "" in members else self._record(members, path, inside=True)


def unfold(events: ak.Array, path: str, name: str) -> ak.Array:
    """Make each element of a list an event of its own; reads nothing but the lengths.

    Parameters
    ----------
    events : coffea NanoEvents, length n
    path : str
        Dotted path of the list, without prefix.
    name : str
        Field of the result that holds the element. Every other field of ``events`` is repeated for
        each element of an entry.

    Returns
    -------
    coffea NanoEvents
        As many as there are elements, with the metadata of ``events``; ``events`` themselves if
        they have been unfolded before.

    Raises
    ------
    InputError
        If there is no such list.
    """
    if events.layout.purelist_parameter(_UNFOLDED):
        return events
    try:
        elements = events[tuple(path.split("."))]
        is_list = elements.layout.is_list
    except IndexError:
        is_list = False
    if not is_list:
        raise InputError(
            f"{describe(events)}: its events are the elements of {path!r}, which the file does not "
            "have as a list; check 'format'"
        )
    entry = np.repeat(np.arange(len(events)), ak.to_numpy(ak.num(elements, axis=1)))
    members = {field: events[field][entry] for field in events.fields if field != name}
    members[name] = ak.flatten(elements, axis=1)
    unfolded = nanoevents(ak.zip(members, depth_limit=1), events.metadata)
    return ak.with_parameter(unfolded, _UNFOLDED, True)


def _split(name: str) -> tuple[str, str]:
    """First component of a path and the rest; a companion suffix stays in one piece.

    >>> _split("prim.p.E"), _split("prim..length"), _split("E")
    (('prim', 'p.E'), ('prim', '..length'), ('E', ''))
    """
    head, _, rest = name.partition(".")
    return head, f".{rest}" if rest.startswith(".") else rest


def _is_list(form: Form) -> bool:
    return str(form["class"]).startswith("ListOffset")


def _contents(members: Mapping[str, Form]) -> dict[str, Form]:
    return {name: form["content"] for name, form in members.items() if _is_list(form)}


def _is_deeper(name: str, members: Mapping[str, Form]) -> bool:
    """Whether a member of a list belongs to a list inside it, flattened over both."""
    base, companion, _ = name.partition("..")
    parts = base.split(".")
    # The lengths of an inner list are as many as the outer list has elements: not deeper.
    last = len(parts) - 1 if companion else len(parts)
    return any(".".join(parts[: i + 1]) + LENGTH in members for i in range(last))


def _uncut(branches: Mapping[str, Form]) -> Callable[[str], bool]:
    """Whether a branch belongs to a fixed array inside a list, whose length no branch tells.

    SRProxy writes such arrays, of more than 16 elements, with ``..totarraysize`` alone.
    """
    names = {name.rsplit("/", 1)[-1] for name in branches}
    paths = tuple(
        f"{path}."
        for name in names
        if name.endswith(_TOTAL) and (path := name.removesuffix(_TOTAL)) + LENGTH not in names
    )
    return lambda name: bool(paths) and f"{name}.".startswith(paths)


def _by_leaf(form: Form, name: str, readable: Container[str] | None) -> Form:
    """Nested form of a field whose buffers are those of its leaves.

    coffea gives a field of an RNTuple as one form that loads all of the field for any part of it.
    A struct in a TTree looks the same, but its members are not ``readable`` by themselves.
    """
    leaves = [leaf for leaf, _ in _leaves(form, name)]
    if leaves == [name] or readable is None or not all(leaf in readable for leaf in leaves):
        return form
    return _rekeyed(form, name, 0)


def _rekeyed(form: Form, name: str, level: int) -> Form:
    if form["class"] == "RecordArray":
        members = zip(form["fields"], form["contents"], strict=True)
        contents = [_rekeyed(member, f"{name}.{field}", level) for field, member in members]
        return form | {"contents": contents}
    # Offsets are those of any leaf below; the one in the fewest lists is the smallest.
    source, _ = min(_leaves(form, name), key=lambda leaf: leaf[1], default=(name, level))
    new = form | {"form_key": quote(",".join([source, "!load", *["!content"] * level]), safe="")}
    if "content" in form:
        new["content"] = _rekeyed(form["content"], name, level + 1)
    return new


def _leaves(form: Form, name: str, level: int = 0) -> Iterator[tuple[str, int]]:
    """Names of the leaves of a nested form, and in how many lists each one is."""
    if form["class"] == "RecordArray":
        for field, member in zip(form["fields"], form["contents"], strict=True):
            yield from _leaves(member, f"{name}.{field}", level)
    elif "content" in form:
        yield from _leaves(form["content"], name, level + 1)
    else:
        yield name, level
