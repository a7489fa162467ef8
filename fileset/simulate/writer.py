"""What a simulated file consists of in each layout and container, and how it is written."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import awkward as ak
import uproot

from ..atomic import renamed_when_complete
from . import caf, dune, flat, nested
from .caf import Batch, Columns, Tree

Extend = Callable[[Tree], None]


class Layout(NamedTuple):
    """How slices and exposure of one file are stored.

    Attributes
    ----------
    tree : str
        Name of the slice tree.
    slices : callable
        Batch to branches of that tree.
    spills : callable, optional
        Spills to branches of the spill tree; none for layouts without one.
    histograms : callable
        Spills to histograms by name.
    counter : callable
        Name of a list, or group of lists, to that of the branch with its lengths; of a TTree.
    """

    tree: str
    slices: Callable[[Batch], Tree]
    spills: Callable[[Columns], Tree] | None = None
    histograms: Callable[[Columns], Mapping[str, flat.Histogram]] = lambda spills: {}
    counter: Callable[[str], str] = "n{}".format


LAYOUTS: dict[str, dict[str, Layout]] = {
    "nova_caf": {
        "ttree": Layout(caf.TREE, caf.slice_tree, caf.spill_tree),
        "rntuple": Layout(caf.TREE, nested.slice_tree, nested.spill_tree),
    },
    "nova_flat_caf": {
        "ttree": Layout(
            caf.TREE, caf.slice_tree, caf.spill_tree, flat.histograms, counter=flat.counter
        ),
    },
    "dune_fd_caf": {
        container: Layout(
            dune.TREE, dune.slice_tree, histograms=dune.histograms, counter=dune.counter
        )
        for container in ("ttree", "rntuple")
    },
}
"""Layout to container to what is written. Flat CAFs are TTrees only: their names have dots."""

CONTAINERS = ("ttree", "rntuple")
"""Kinds of ROOT objects that hold the slices."""


def find_layout(layout: str, container: str) -> Layout:
    """Look a layout up.

    Parameters
    ----------
    layout : str
        One of ``LAYOUTS``.
    container : str
        One of ``CONTAINERS``.

    Returns
    -------
    Layout

    Raises
    ------
    ValueError
        If there is no such thing.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"unknown layout {layout!r}; expected one of {list(LAYOUTS)}")
    if container not in CONTAINERS:
        raise ValueError(f"unknown container {container!r}; expected one of {list(CONTAINERS)}")
    if container not in LAYOUTS[layout]:
        raise ValueError(
            f"layout {layout!r} cannot be written as {container!r}: its names have dots, which "
            "the fields of an RNTuple must not; take layout 'nova_caf' or container 'ttree'"
        )
    return LAYOUTS[layout][container]


def write(
    path: Path, layout: Layout, container: str, batches: Iterable[Batch], spills: Columns
) -> None:
    """Write one file.

    Parameters
    ----------
    path : pathlib.Path
        File to make; appears only when it is complete.
    layout : Layout
        From ``find_layout``, for the same container.
    container : str
        One of ``CONTAINERS``.
    batches : iterable of Batch
        Written one at a time, so memory holds one batch.
    spills : mapping of str to ndarray, shape (m,)
        Exactly the columns of ``caf.SPILL``.
    """
    make = {"ttree": _make_ttree, "rntuple": _make_rntuple}[container]
    with (
        renamed_when_complete(path) as partial,
        uproot.recreate(partial, compression=uproot.ZSTD(1)) as file,
    ):
        extend = make(file, layout.tree, "slices", layout.slices(caf.empty_batch()), layout.counter)
        for batch in batches:
            extend(layout.slices(batch))
        if layout.spills is not None:
            tree = layout.spills(spills)
            make(file, caf.SPILL_TREE, "spills", tree, layout.counter)(tree)
        for name, histogram in layout.histograms(spills).items():
            file[name] = histogram


def _make_ttree(
    file: Any, name: str, title: str, example: Tree, counter: Callable[[str], str]
) -> Extend:
    types = {
        branch: array.type.content if isinstance(array, ak.Array) else array.dtype
        for branch, array in example.items()
    }
    tree = file.mktree(name, types, title=title, counter_name=counter, field_name="{}.{}".format)
    return lambda batch: tree.extend(batch)


def _make_rntuple(
    file: Any, name: str, title: str, example: Tree, counter: Callable[[str], str]
) -> Extend:
    """As ``_make_ttree``, without ``counter``: lists know their lengths."""

    def records(batch: Tree) -> ak.Array:
        # Not the dict itself, which uproot sorts.
        return ak.zip(batch, depth_limit=1)

    ntuple = file.mkrntuple(name, records(example).layout.form, description=title)
    return lambda batch: ntuple.extend(records(batch))
