"""Links of README and documentation lead somewhere; the site's own build checks the rest."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/*.md"))]
LINKS = [
    (page, link)
    for page in PAGES
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    # Made when the site is built, from the docstrings.
    if not link.startswith("reference/")
]


def anchors(page):
    """What the headings of a page are called in a link."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.M)
    plain = [re.sub(r"[^\w\s-]", "", heading).strip().lower() for heading in headings]
    return {re.sub(r"[-\s]+", "-", heading) for heading in plain}


def test_there_are_links_to_check():
    assert len(LINKS) > 40


@pytest.mark.parametrize(("page", "link"), LINKS, ids=lambda v: getattr(v, "name", v))
def test_link_leads_to_a_file_and_a_heading(page, link):
    assert not link.startswith("http"), "a link that cannot be checked here"
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    assert target.is_file()
    assert not anchor or anchor in anchors(target)
