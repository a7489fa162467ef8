"""The page: what it says, what it escapes, what it leaves behind when it fails."""

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hist import Hist
from hist.axis import StrCategory
from hist.storage import Int64, Weight

from analysis import report
from analysis.experiments import world_rows
from analysis.limit.template_count import moment_limits, template_count
from analysis.report import events, findings, mathtext, scientific, write_report
from fileset.errors import InputError
from fileset.exposure import Ledger, LedgerRow
from processors.categories import AXIS
from processors.cut_axes import histogram_of
from processors.histograms import empty
from processors.templates import Templates, collect

FIGURES = (
    *("etheta2", "recoil_energy", "weights", "cutflow", "without_ttheta2", "sources"),
    *("correlation", "limits", "curve", "fit", "pulls", "comparison"),
)
NAME = "<script>alert('x')</script>"
VOID = {"meta", "img"}
POT = 3.62e20
BINS = (*AXIS, "magnetic_numu")
YIELDS = {"nuone": 12.0, "nc": 6.0, "magnetic_numu": 4e18}


def filled(name: str, yields: dict[str, float], variations: dict[str, float]) -> Hist:
    """Histogram with the events of a category in three bins, alike."""
    histogram = empty(histogram_of(name), list(variations), BINS)
    view = histogram.view()
    for category, value in yields.items():
        for i, factor in enumerate(variations.values()):
            for first in (5, 6, 7):
                position = (BINS.index(category), i, first, 2)[: histogram.ndim]
                view["value"][position] = factor * value / 3.0
                view["variance"][position] = 0.1 * value / 3.0
    return histogram


def cut_flow(yields: dict[str, float], storage: Weight | Int64) -> Hist:
    cuts = StrCategory(["all", "shower_energy"], name="cut")
    histogram = Hist(StrCategory(AXIS, name="category"), cuts, storage=storage)
    view = histogram.view()["value"] if isinstance(storage, Weight) else histogram.view()
    for category in yields.keys() & set(AXIS):
        view[AXIS.index(category)] = [4321, yields[category]]
    return histogram


def output(yields: dict[str, float], variations: dict[str, float]) -> dict[str, Hist]:
    return {
        "spectrum": filled("spectrum", yields, variations),
        "etheta2": filled("etheta2", yields, variations),
        "cutflow": cut_flow(yields, Weight()),
        "cutflow_events": cut_flow(yields, Int64()),
        "nminusone.ttheta2.ttheta2": filled("nminusone.ttheta2.ttheta2", yields, {"nominal": 1.0}),
    }


def make_templates(*, data: bool = True) -> Templates:
    variations = {"nominal": 1.0, "calibrationUp": 1.1, "calibrationDown": 0.95}
    parts = {NAME: output(YIELDS, variations)}
    rows = [LedgerRow(NAME, "a.root", "a", 0, 1234, POT)]
    if data:
        parts["recorded"] = output({"data": 21.0}, {"nominal": 1.0})
        rows.append(LedgerRow("recorded", "b.root", "b", 0, 99, POT))
    datasets = {
        name: {"is_mc": name == NAME, "format": "nova_caf", "horn_current": "FHC"} for name in parts
    }
    cuts = {"ttheta2": {"column": "ttheta2", "low": None, "high": 0.003}}
    versions = {"numpy": np.__version__}
    provenance = {"selection": "a<b", "versions": versions, "cuts": cuts}
    return collect(parts, Ledger(tuple(rows)), datasets, provenance)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report") / "not" / "there"
    with pytest.MonkeyPatch.context() as patch:
        # All of them are drawn in a test of their own.
        patch.setattr(findings, "world_rows", lambda: world_rows(["nova_biao", "lsnd"]))
        patch.setattr(findings, "_EXPECTED", 20)
        return write_report(make_templates(), out, confidence_level=0.95)


@pytest.fixture(scope="module")
def html(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@pytest.fixture
def render(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    # Figures and toys take most of the time, and these tests are about the words.
    monkeypatch.setattr(report, "drawings", lambda found: [])
    monkeypatch.setattr(findings, "world_rows", list)
    monkeypatch.setattr(findings, "_EXPECTED", 0)

    def write(templates: Templates, pot: float | None = None) -> str:
        path = write_report(templates, tmp_path, confidence_level=0.9, pot=pot)
        return path.read_text(encoding="utf-8")

    return write


def words(html: str) -> str:
    """Visible text of a page."""
    body = re.sub(r"<style>.*?</style>", "", html, flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def test_page_and_figures_lie_in_the_folder_and_nothing_else(page: Path) -> None:
    names = {path.name for path in page.parent.iterdir()}
    assert names == {"report.html", *(f"{name}.png" for name in FIGURES)}
    for name in FIGURES:
        assert (page.parent / f"{name}.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_page_opens_with_the_limit_of_the_templates_and_its_convention(html: str) -> None:
    limit = moment_limits(template_count(make_templates()), cl=0.95, method="fc")["fc"]
    mantissa, exponent = f"{limit.mu_nu:.2e}".split("e")
    assert f"&lt; {mantissa} × 10<sup>−{-int(exponent)}</sup> <i>μ</i><sub>B</sub></p>" in html
    assert "95 % CL two-sided Feldman-Cousins" in html
    assert "3.62 × 10<sup>20</sup> POT" in html
    assert "21 events" in html


def test_every_method_has_a_row_with_its_convention(html: str) -> None:
    limits = moment_limits(template_count(make_templates()), cl=0.95)
    for limit in limits.values():
        row = rf">{1e9 * limit.mu_nu:.2f}</td><td class=\"n\">{1e9 * limit.expected[2]:.2f}</td>"
        assert re.search(row, html)
        assert mathtext(limit.convention) in html


def test_names_from_files_are_escaped(html: str) -> None:
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in html
    assert "a&lt;b" in html


def test_page_asks_the_network_for_nothing(html: str) -> None:
    assert not re.search(r"https?://", html)
    assert not re.search(r"@import|<link|<script", html)
    assert re.search("default-src 'none'", html)
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:image/png;base64,)""", html)
    assert not re.findall(r"url\((?!#)", html)


def test_every_figure_is_on_the_page_and_described(html: str) -> None:
    pictures = re.findall(r'<svg [^>]*role="img"[^>]*>', html)
    assert len(pictures) == len(FIGURES) == html.count("<figure")
    for picture in pictures:
        assert len(re.findall(r'aria-label="([^"]{40,})"', picture)) == 1
    for name in FIGURES:
        assert f'id="figure-{name}"' in html


def test_identifiers_are_unique(html: str) -> None:
    names = re.findall(r'\bid="([^"]+)"', html)
    assert len(names) == len(set(names))
    for name in re.findall(r'(?:href="#|url\(#)([^")]+)', html):
        assert name in {*names, "_"}


def test_bins_and_rows_tell_their_numbers(html: str) -> None:
    texts = re.findall(r"<title>([^<]+)</title>", html)
    assert "electron kinetic energy T 0.6 to 0.7 GeV\ndata: 7\nSM: 6 ± 0.98" in "\n".join(texts)
    assert any(text.startswith("calibration\nup: +10 %") for text in texts)


class Structure(HTMLParser):
    """Fails on tags that do not nest, headings out of order, tables that do not scroll."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[tuple[str, dict[str, str | None]]] = []
        self.tables = 0
        self.level = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "th":
            assert values["scope"] in ("col", "row", "rowgroup")
        if re.fullmatch(r"h\d", tag):
            assert int(tag[1]) <= self.level + 1
            self.level = int(tag[1])
        if tag == "table":
            assert self.open[-1][1].get("class") == "scroll"
            self.tables += 1
        if tag not in VOID:
            self.open.append((tag, values))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag


def test_tags_nest_headings_are_in_order_and_tables_scroll(html: str) -> None:
    structure = Structure()
    structure.feed(html)
    structure.close()
    assert structure.open == []
    assert structure.tables == 7


def test_tables_show_yields_sources_cut_flow_and_ledger(html: str) -> None:
    text = words(html)
    assert "ν-on- e (SM) 12.0 ± 1.10" in text
    assert "calibration ± 1.80 10.0 % +10.0 % −5.0 % 0.0 % " in text
    assert "all events 8,642 4,321 4,321 8,642 100 % 4,321" in text
    assert "shower energy 18 12.0 6.00 18.0 0.208 % 21" in text
    assert "recorded data nova_caf FHC 1 1 0 99 3.62 × 10 20" in text
    assert "2 of 2 planned chunks are in the sum, each once; none is missing" in text
    assert f"numpy {np.__version__}" in text


def test_yields_scale_to_the_exposure(render: Callable[..., str]) -> None:
    text = words(render(make_templates(data=False), 10.0 * POT))
    assert "ν-on- e (SM) 120.0 ± 11.0" in text
    assert "3.62 × 10 21 POT" in text


def test_without_data_the_limit_is_called_expected(render: Callable[..., str]) -> None:
    templates = make_templates(data=False)
    limit = moment_limits(template_count(templates, POT), cl=0.9, method="fc")["fc"]
    text = words(render(templates, POT))
    mantissa, _ = f"{limit.expected[2]:.2e}".split("e")
    assert f"&lt; {mantissa} × 10 −9 μ B expected" in text
    assert "No data: median limit" in text
    assert "Observed no data" in text


def test_missing_chunks_come_before_the_limit(render: Callable[..., str]) -> None:
    complete = make_templates()
    lost = LedgerRow("gone", "c.root", "c", 10, 20, 1e20, "OSError: <truncated>")
    text = words(render(replace(complete, ledger=Ledger((*complete.ledger.rows, lost)))))
    assert text.index("Missing: 1 of 3 chunks") < text.index("3.62 × 10 20 POT")
    assert "c.root, entries 10–20: OSError: &lt;truncated&gt;" in text
    assert "gone lost" in text


def test_toy_input_is_declared_and_only_that(render: Callable[..., str], html: str) -> None:
    text = words(render(replace(make_templates(), provenance={"toy": True})))
    assert "The input is a toy" in text
    assert "The input is a toy" not in words(html)


def test_failure_leaves_the_earlier_page_whole(
    render: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = render(make_templates())
    names = {path.name for path in tmp_path.iterdir()}

    def fail(self: Path, target: Path) -> None:
        raise OSError(f"no space left for {target.name}")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match=r"no space left for report\.html"):
        render(make_templates(data=False), POT)
    assert {path.name for path in tmp_path.iterdir()} == names
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == before


def test_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    for out in (path, path / "below"):
        with pytest.raises(InputError, match=r"in a file; --out wants a folder"):
            write_report(make_templates(), out, confidence_level=0.9)


def test_exposure_is_required_without_data(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give --pot"):
        write_report(make_templates(data=False), tmp_path / "out", confidence_level=0.9)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        (r"$\nu_\mu$ CC", "ν<sub>μ</sub> CC"),
        (r"flat in $\mu_\nu^2$", "flat in μ<sub>ν</sub>²"),
        ("a_b < c", "a_b &lt; c"),
    ],
)
def test_labels_of_figures_become_html(label: str, expected: str) -> None:
    assert mathtext(label) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, "0"), (0.0123, "0.0123"), (23.0, "23.0"), (503.16, "503.2"), (20521.4, "20,521")],
)
def test_events_keep_three_digits_or_more(value: float, expected: str) -> None:
    assert events(value) == expected


def test_powers_of_ten_have_a_true_minus_sign() -> None:
    assert scientific(2.846e-9) == "2.85 × 10<sup>−9</sup>"
