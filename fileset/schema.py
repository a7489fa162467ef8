"""Nested records from dotted branch names: the coffea schema of Common Analysis Files.

A branch ``rec.vtx.elastic.fuzzyk.png.shwlid.calE`` becomes
``events.vtx.elastic.fuzzyk.png.shwlid.calE``. Members of a list in the original object
(:attr:`CAFSchema.lists`) arrive as one jagged branch each and are zipped into a list of records.
A list inside a list is stored flattened over both, the flat-CAF way, with a companion branch
``<list>..length`` that holds its lengths; it is cut accordingly. Outer lengths always come from
the content, never from counters such as ``nprim``, which some productions lack.
"""

from typing import Any, ClassVar

from .coffea_api import BaseSchema, counts2offsets_form, listarray_form

Form = dict[str, Any]

LENGTH = "..length"
# Written beside the lengths and not needed; the last one has no list even inside lists.
_UNUSED = ("..idx", "..totarraysize")


class CAFSchema(BaseSchema):
    """coffea schema for dotted branch names.

    Attributes
    ----------
    prefix : str
        Dropped from the front of every branch name.
    lists : frozenset of str
        Dotted paths, without prefix, that are lists in the original object.
    """

    prefix: ClassVar[str] = "rec."
    lists: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, base_form: Form, *args: Any, **kwargs: Any) -> None:
        super().__init__(base_form, *args, **kwargs)
        branches = dict(zip(self._form["fields"], self._form["contents"], strict=True))
        # A split object gives 'rec/rec.slc/rec.slc.calE'; uproot writes counters 'n<branch>'.
        leaves = {
            name.rsplit("/", 1)[-1].removeprefix(self.prefix): form
            for name, form in branches.items()
            if not name.endswith(_UNUSED) and not self._is_counter(name, branches)
        }
        record = self._record(leaves, path="", inside=False)
        self._form["fields"], self._form["contents"] = record["fields"], record["contents"]

    def _is_counter(self, name: str, branches: dict[str, Form]) -> bool:
        return name.startswith(f"n{self.prefix}") or (name[:1] == "n" and name[1:] in branches)

    def _record(self, leaves: dict[str, Form], path: str, inside: bool) -> Form:
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
        if "" in members:
            form = members[""]
        elif path in self.lists and all(_is_list(form) for form in members.values()):
            form = self._list(members, path)
        else:
            return self._record(members, path, inside)
        if inside and lengths is not None and _is_list(form):
            return listarray_form(form["content"], counts2offsets_form(lengths))
        return form

    def _list(self, members: dict[str, Form], path: str) -> Form:
        """Form of a list of records; its members share their offsets, the deeper ones do not."""
        shallow = [name for name in members if not _is_deeper(name, members)]
        content = {
            name: form["content"] if name in shallow else form for name, form in members.items()
        }
        outer = members[shallow[0]]
        return {
            "class": "ListOffsetArray",
            "offsets": outer["offsets"],
            "content": self._record(content, path, inside=True),
            "form_key": outer["form_key"],
        }


def _split(name: str) -> tuple[str, str]:
    """First component of a path and the rest; a companion suffix stays in one piece.

    >>> _split("prim.p.E"), _split("prim..length"), _split("E")
    (('prim', 'p.E'), ('prim', '..length'), ('E', ''))
    """
    head, _, rest = name.partition(".")
    return head, f".{rest}" if rest.startswith(".") else rest


def _is_list(form: Form) -> bool:
    return str(form["class"]).startswith("ListOffset")


def _is_deeper(name: str, members: dict[str, Form]) -> bool:
    """Whether a member of a list belongs to a list inside it, flattened over both."""
    base, companion, _ = name.partition("..")
    parts = base.split(".")
    # The lengths of an inner list are as many as the outer list has elements: not deeper.
    last = len(parts) - 1 if companion else len(parts)
    return any(".".join(parts[: i + 1]) + LENGTH in members for i in range(last))
