"""A result as one page that can be mailed: limits, figures and tables, and what they rest on.

The page needs no network, no script and no file beside it; the figures are also written as PNG
files, for slides.
"""

import re
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from fileset.atomic import renamed_when_complete
from fileset.errors import InputError
from processors.templates import Templates

from .. import plots
from .content import content
from .figures import Drawing, drawings
from .findings import HEADLINE, TOY, find
from .words import FILTERS, events, mathtext, scientific

__all__ = ["HEADLINE", "TOY", "Plot", "events", "mathtext", "scientific", "write_report"]


class Plot(NamedTuple):
    """A figure on the page.

    Attributes
    ----------
    name, part : str
        Stem of its file; section.
    title, svg : Markup
        Caption; element of the page.
    shape : str
        Width over height, as CSS has it.
    """

    name: str
    part: str
    title: Markup
    svg: Markup
    shape: str


def write_report(
    templates: Templates,
    out: str | Path,
    *,
    confidence_level: float,
    pot: float | None = None,
    toys: int = 0,
) -> Path:
    """Write ``report.html`` and its figures into a folder.

    Parameters
    ----------
    templates : Templates
    out : str or Path
        Folder; made if there is none. Files of the same names in it are replaced, each as a whole.
    confidence_level : float
        Confidence level of the limits.
    pot : float, optional
        Exposure [POT]; that of the data by default, and required without data.
    toys : int
        Toys per tested signal for Feldman-Cousins and CLs of the spectrum; 0 leaves these out.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    InputError
        Where :func:`analysis.limit.template_count.template_count` does, or if the folder is a file.
    """
    out = Path(out)
    if not next(path for path in (out, *out.absolute().parents) if path.exists()).is_dir():
        raise InputError(f"{out}: is or lies in a file; --out wants a folder")
    found = find(templates, cl=confidence_level, pot=pot, toys=toys)
    out.mkdir(parents=True, exist_ok=True)
    shown = [_drawn(drawing, out) for drawing in drawings(found)]
    page = _environment().get_template("page.html.j2").render(figures=shown, **content(found))
    _write(out / "report.html", page.encode())
    return out / "report.html"


def _drawn(drawing: Drawing, out: Path) -> Plot:
    """Draw a figure into its file, and for the page."""
    figure = drawing.draw()
    # An axis may have any name; the name of a file must not lead out of the folder.
    name = re.sub(r"[^A-Za-z0-9_.]", "_", drawing.name)
    _write(out / f"{name}.png", plots.image(figure))
    svg = Markup(plots.inline(figure, name, drawing.alt))
    width, height = figure.get_size_inches()
    shape = f"{width:g} / {height:g}"
    return Plot(name, drawing.part, Markup(drawing.title), svg, shape)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS
    return environment


def _write(path: Path, content: bytes) -> None:
    with renamed_when_complete(path) as partial:
        partial.write_bytes(content)
