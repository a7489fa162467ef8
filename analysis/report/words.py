"""Numbers and labels as HTML."""

import re
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape

MU_UNIT = 1e-9
_SYMBOLS = {r"\nu": "ν", r"\mu": "μ", r"\theta": "θ", r"\mathrm{B}": "B", "^2": "²"}


def mathtext(label: str) -> Markup:
    """Label of a figure as HTML: what stands between dollars becomes symbols and subscripts."""

    def convert(match: re.Match[str]) -> str:
        text = match[1]
        for source, symbol in _SYMBOLS.items():
            text = text.replace(source, symbol)
        text = re.sub(r"_(\w)", r"<sub>\1</sub>", text)
        return re.sub(r"\b([a-zA-Z])\b", r"<i>\1</i>", text)

    return Markup(re.sub(r"\$([^$]+)\$", convert, str(escape(label))))


def scientific(value: float) -> Markup:
    """Three digits and a power of ten."""
    mantissa, exponent = f"{value:.2e}".split("e")
    return Markup(f"{mantissa} × 10<sup>{int(exponent)}</sup>".replace("-", "−"))


def moment(value: float | None) -> str:
    """Magnetic moment in units of 1e-9 Bohr magnetons; a dash where there is none."""
    return "–" if value is None else f"{value / MU_UNIT:.2f}"


def events(value: float) -> str:
    """Expected events, with digits enough to compare."""
    if value >= 100.0:
        return f"{value:,.0f}" if value >= 1000.0 else f"{value:.1f}"
    return f"{value:#.3g}" if value else "0"


def percent(value: float | None, total: float, form: str = ".1f") -> str:
    """Part of a total in percent; a dash where there is none."""
    if value is None or not total > 0.0:
        return "–"
    return f"{100.0 * value / total:{form}} %".replace("-", "−")


def signed(value: float | None, total: float) -> str:
    """Change of a total in percent, with its sign."""
    return percent(value, total, "+.1f")


def plain(value: Any) -> str:
    """Value of the provenance in one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {plain(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(plain(v) for v in value)
    return str(value)


FILTERS = {f.__name__: f for f in (scientific, moment, events, mathtext, percent, signed)}
"""Of the template of the page."""
