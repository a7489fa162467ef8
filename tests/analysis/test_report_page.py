"""The page as a browser shows it: width, contrast, console, figures, numbers under a pointer."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from .browser import CHROMIUM, Page, browser
from .test_report import FIGURES, NAME, page  # noqa: F401

WIDTHS = (1280, 400)

CONTRASTS = """
(() => {
  const channel = c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const numbers = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = c => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const c = numbers(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] === 1) return c;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const e of document.querySelectorAll("body *")) {
    const words = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
    if (e.closest("svg") || !words) continue;
    const [a, b] = [numbers(getComputedStyle(e).color), behind(e)].map(light);
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push(`${e.tagName} ${ratio.toFixed(2)}: ${e.textContent.slice(0, 40)}`);
  }
  return found;
})()
"""

TEXT_OVER_A_BIN = """
(() => {
  const svg = document.querySelector("#figure-recoil_energy svg");
  svg.scrollIntoView({block: "center"});
  const box = svg.getBoundingClientRect();
  let element = document.elementFromPoint(box.left + 0.5 * box.width, box.top + 0.3 * box.height);
  for (; element; element = element.parentElement) {
    const title = [...element.children].find(child => child.tagName === "title");
    if (title) return title.textContent;
  }
})()
"""


@pytest.fixture(scope="module")
def shown(page: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:  # noqa: F811
    if not CHROMIUM:
        pytest.skip("no chromium on this machine: the page is NOT tested in a browser")
    # In a folder with a name that is none for an address, and nothing beside it.
    alone = tmp_path_factory.mktemp("sent by mail #1") / "report.html"
    shutil.copy(page, alone)
    with browser(tmp_path_factory.mktemp("profile")) as window:
        window.open(alone)
        yield window


def test_the_console_is_silent_and_the_network_is_left_alone(shown: Page) -> None:
    for width in WIDTHS:
        shown.look(width, dark=True)
    assert shown.complaints() == []


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_window(shown: Page, width: int) -> None:
    shown.look(width)
    assert shown.value("innerWidth") == width
    assert shown.value("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_every_figure_is_there_and_large_enough_to_read(shown: Page, width: int) -> None:
    shown.look(width)
    scales = shown.value(
        "Object.fromEntries([...document.querySelectorAll('figure')].map(f => {"
        " const svg = f.querySelector('svg');"
        " return [f.id, svg.getBoundingClientRect().width / svg.viewBox.baseVal.width]; }))"
    )
    assert set(scales) == {f"figure-{name}" for name in FIGURES}
    # Its smallest letters are 8 points high as it was drawn.
    assert min(scales.values()) > 0.7


@pytest.mark.parametrize("dark", [False, True])
def test_words_stand_out_from_what_is_behind_them(shown: Page, dark: bool) -> None:
    shown.look(1280, dark=dark)
    background = shown.value("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(18, 22, 28)" if dark else "rgb(244, 245, 247)")
    assert shown.value(CONTRASTS) == []


def test_figures_turn_dark_with_the_page(shown: Page) -> None:
    text = "getComputedStyle(document.querySelector('#figure-limits svg')).fill"
    shown.look(1280)
    assert shown.value(text) == "rgb(0, 0, 0)"
    shown.look(1280, dark=True)
    assert shown.value(text) == "rgb(228, 233, 239)"


def test_a_pointer_over_a_bin_finds_its_numbers(shown: Page) -> None:
    shown.look(1280)
    assert "SM: 6 ± 0.98" in shown.value(TEXT_OVER_A_BIN)


def test_a_figure_fills_the_window_and_goes_back(shown: Page) -> None:
    shown.look(1280)
    shown.value("document.querySelector('#figure-etheta2 .screen a').click()")
    wide = "document.querySelector('#figure-etheta2 .sheet').getBoundingClientRect().width"
    assert shown.value(wide) == 1280
    shown.value("document.querySelector('#figure-etheta2 .close').click()")
    assert shown.value(wide) < 1000


def test_names_from_files_are_text_and_nothing_else(shown: Page) -> None:
    assert shown.value("document.scripts.length") == 0
    names = shown.value("[...document.querySelectorAll('th')].map(e => e.textContent)")
    assert NAME in names


def test_it_prints(shown: Page) -> None:
    assert shown.printed().startswith(b"%PDF-")
