"""Every experiment as one row: published and recomputed number, and what each of them bounds."""

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fileset.releases import MissingReleaseError

from .recompute import recompute
from .rows import EXPERIMENTS, Experiment, find_experiment

LOG = logging.getLogger(__name__)

UNLIKE = "unlike: "
"""Beginning of the reason of a row whose two numbers are not the same quantity."""

DISPUTED = "disputed: "
"""In the reason of a row whose bound recent work disputes."""

EXPECTED = "recomputed: expected"
"""In the convention of a row whose recomputed number is a sensitivity without data."""


@dataclass(frozen=True)
class WorldRow:
    """One line of the table of experiments.

    Attributes
    ----------
    id, system : str
        Name of the row and experiment in words.
    bounded : str
        Which combination of moments, a key of `analysis.experiments.rows.BOUNDED`.
    published, recomputed, ratio : float or None
        Numbers [Bohr magneton] and the second over the first [1]; None where there is none.
    method : str
        Likelihood of the row; ``quoted``: not recomputed.
    convention : str
        Level and convention of the published number, and of the recomputed one where there is one.
    verified : bool
        Whether the row has numbers and every one was read in its source.
    reason : str
        Why the numbers differ or are not alike, what is missing, and what is not verified.
    """

    id: str
    system: str
    bounded: str
    published: float | None
    recomputed: float | None
    ratio: float | None
    method: str
    convention: str
    verified: bool
    reason: str


def world_rows(
    names: Iterable[str] | None = None, *, releases: Path | None = None
) -> list[WorldRow]:
    """Recompute experiments and put them beside their published numbers.

    Parameters
    ----------
    names : iterable of str, optional
        Rows; all if absent.
    releases : Path, optional
        Folder that holds the folders of data releases.

    Returns
    -------
    list of WorldRow
        Grouped by what is bounded, the strongest published limit last. A row whose data release is
        not there is kept without recomputed number; this is logged as a warning too.

    Raises
    ------
    ValueError
        For an unknown row.
    """
    rows = [find_experiment(name) for name in (EXPERIMENTS if names is None else names)]
    rows.sort(key=lambda row: (row.bounded, -(row.published or math.inf), row.name))
    return [_world_row(row, releases) for row in rows]


def _world_row(row: Experiment, releases: Path | None) -> WorldRow:
    reasons = [f"{UNLIKE}{row.unlike}"] if row.unlike else []
    recomputed, ratio, convention = None, None, ""
    if row.method != "quoted":
        try:
            limit = recompute(row, releases=releases)
        except MissingReleaseError as error:
            LOG.warning("%s is not recomputed: %s", row.name, error)
            reasons.append(f"not recomputed: {error}")
        else:
            recomputed, convention = limit.observed, f"; recomputed: {limit.convention}"
            ratio = None if math.isnan(limit.ratio) else limit.ratio
    reasons.append(row.reason)
    if row.disputed:
        reasons.append(f"{DISPUTED}{row.disputed}")
    if row.unverified:
        reasons.append(f"assumed or not verified: {', '.join(row.unverified)}")
    return WorldRow(
        id=row.name,
        system=row.system,
        bounded=row.bounded,
        published=row.published,
        recomputed=recomputed,
        ratio=ratio,
        method=row.method,
        convention=f"published: {_published_convention(row)}{convention}",
        verified=bool(row.status) and not row.unverified,
        reason="; ".join(reasons),
    )


def _published_convention(row: Experiment) -> str:
    level = f"{100 * row.confidence_level:g} % CL, " if row.confidence_level else ""
    kind = "" if row.kind in ("upper_limit", "none") else f"{row.kind.replace('_', ' ')}, "
    low = f", from {row.published_low:.2g} to {row.published:.2g}" if row.published_low else ""
    return f"{level}{kind}{row.convention}{low}"
