"""The model of a limit with everything that is done with one: the front door of this package."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from processors.templates import Templates

from . import combination
from .contours import Contour, Other, contour
from .coverage import Coverage, coverage
from .from_templates import model_of
from .goodness import DataTest, discovery, goodness, with_toys
from .impacts import ParameterImpact, impacts
from .methods import limit
from .model import MOMENT_UNIT, BinnedModel, Floats
from .model_file import load, save, workspace_in
from .published import counted, from_scan, gaussian
from .result import ModelLimit
from .workspace import from_workspace, to_workspace


class LimitModel(BinnedModel):
    """A :class:`.model.BinnedModel` that is read, kept and turned into limits."""

    @classmethod
    def from_templates(cls, templates: Templates, **options: Any) -> Self:
        """Make a model of the templates of a run: see :func:`.from_templates.model_of`."""
        return model_of(cls, templates, **options)

    @classmethod
    def counted(cls, channel: str, **options: Any) -> Self:
        """Make a model of counts: see :func:`.published.counted`."""
        return counted(cls, channel, **options)

    @classmethod
    def gaussian(cls, channel: str, best: float, error: float, **options: Any) -> Self:
        """Make a model of a published s with its error: see :func:`.published.gaussian`."""
        return gaussian(cls, channel, best, error, **options)

    @classmethod
    def from_scan(cls, channel: str, s: Floats, statistic: Floats, **options: Any) -> Self:
        """Make a model of a published curve: see :func:`.published.from_scan`."""
        return from_scan(cls, channel, s, statistic, **options)

    @classmethod
    def combine(cls, models: Sequence[Self]) -> Self:
        """Put models side by side, correlated by name: see :func:`.combination.combine`."""
        return combination.combine(models)

    def renamed(self, **names: Mapping[str, str]) -> Self:
        """Give other names: see :func:`.combination.renamed`."""
        return combination.renamed(self, **names)

    def only(self, channels: Collection[str]) -> Self:
        """Leave out all channels but some: see :func:`.combination.only`."""
        return combination.only(self, channels)

    def in_unit(self, unit: float) -> Self:
        """Count s in other units: see :func:`.combination.in_unit`."""
        return combination.in_unit(self, unit)

    def limit(self, method: str = "fc", *, cl: float, **options: Any) -> ModelLimit:
        """Limit on s and on the moment: see :func:`.methods.limit`."""
        return limit(self, method, cl=cl, **options)

    def discovery(self, **options: Any) -> DataTest:
        """Test that there is no moment: see :func:`.goodness.discovery`."""
        return with_toys(discovery, self, **options)

    def goodness(self, **options: Any) -> DataTest:
        """Goodness of fit: see :func:`.goodness.goodness`."""
        return with_toys(goodness, self, **options)

    def coverage(self, s: float, **options: Any) -> Coverage:
        """How often intervals hold the true s: see :func:`.coverage.coverage`."""
        return coverage(self, s, **options)

    def contour(self, others: Sequence[Other], values: Floats, signals: Floats) -> Contour:
        """Allowed region of s and another quantity: see :func:`.contours.contour`."""
        return contour(self, others, values, signals)

    def impacts(self) -> tuple[ParameterImpact, ...]:
        """Pulls and impacts of all nuisance parameters: see :func:`.impacts.impacts`."""
        return impacts(self)

    def save(self, path: str | Path) -> None:
        """Write to a file ending in ``.npz`` or ``.json``; plain arrays and JSON, no pickle."""
        save(self, path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what :meth:`save` wrote; a workspace counts in (1e-9 mu_B)^2."""
        found = workspace_in(path)
        if found is not None:
            workspace, digest = found
            return replace(cls.from_workspace(workspace, unit=MOMENT_UNIT), origin=digest)
        return load(cls, path)

    def to_workspace(self) -> dict[str, Any]:
        """Write as a workspace of pyhf: see :func:`.workspace.to_workspace`."""
        return to_workspace(self)

    @classmethod
    def from_workspace(cls, workspace: Mapping[str, Any], *, unit: float, pot: float = 0.0) -> Self:
        """Read a workspace of pyhf: see :func:`.workspace.from_workspace`."""
        return from_workspace(cls, workspace, unit=unit, pot=pot)
