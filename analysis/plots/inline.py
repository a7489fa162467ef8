"""Figures as part of a page: SVG elements with texts for a pointer that rests on a bin."""

import re
import xml.etree.ElementTree as ET

from matplotlib.figure import Figure

from .style import HOVER, LINE, NEWLINE, image

_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_REFERENCE = re.compile(r"url\(#")
_USED = re.compile(r"(?:^|[ (])#([\w.-]+)")
_COLOUR = re.compile(r"(?<=: )#([0-9a-f]{6})\b")
# The rules of a style element would be those of the whole page.
_UNUSED = ("metadata", "style")


def inline(figure: Figure, name: str, alt: str) -> str:
    """Render a figure as an SVG element for a page of HTML.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    name : str
        Unique on the page: identifiers begin with it.
    alt : str
        Description for those who cannot see it.

    Returns
    -------
    str
        Without a background of its own, and without a size: it fills what holds it. A colour
        ``#rrggbb`` is ``var(--c-rrggbb)`` where the page defines one, for a dark one.
    """
    # What was placed for one image is where it belongs in another.
    figure.set_layout_engine("none")
    figure.patch.set_alpha(0.0)
    for axes in figure.axes:
        axes.patch.set_alpha(0.0)
    # Our own output, not something from a file.
    root = ET.fromstring(image(figure, "svg"))
    for parent in root.iter():
        # In a page there are no namespaces.
        parent.tag = parent.tag.rpartition("}")[2]
        for child in [c for c in parent if c.tag.rpartition("}")[2] in _UNUSED]:
            parent.remove(child)
    used = set(_USED.findall(" ".join(v for e in root.iter() for v in e.attrib.values())))
    for element in root.iter():
        _own_names(element, name, used)
    for unwanted in ("width", "height", "version"):
        root.attrib.pop(unwanted, None)
    root.attrib |= {"role": "img", "aria-label": alt}
    return ET.tostring(root, encoding="unicode")


def _own_names(element: ET.Element, name: str, used: set[str]) -> None:
    """Keep identifiers that are used, unique on the page, and make a text for a pointer a title."""
    attributes = {}
    for key, value in element.attrib.items():
        key = key.rpartition("}")[2]
        if key == "id" and value.startswith(HOVER):
            text = value.removeprefix(HOVER).replace(LINE, NEWLINE)
            ET.SubElement(element, "title").text = text
            # Nothing is painted there.
            attributes["pointer-events"] = "all"
        if key == "id" and value not in used:
            continue
        if key == "id":
            value = f"{name}-{value}"
        elif key == "href":
            value = value.replace("#", f"#{name}-", 1) if value.startswith("#") else value
        elif key in ("d", "x", "y"):
            value = _LONG_NUMBER.sub(lambda m: f"{float(m[0]):.2f}", value)
        elif key == "style":
            value = _COLOUR.sub(r"var(--c-\1, #\1)", value)
        attributes[key] = _REFERENCE.sub(f"url(#{name}-", value)
    element.attrib.clear()
    element.attrib.update(attributes)
