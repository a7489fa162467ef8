"""From spectra to templates and on to a limit, against counts added up by hand."""

import math
import tomllib

import numpy as np
import pytest
import uproot
from uproot.writing.identify import to_TAxis, to_TH1x

from analysis.limit import count_limit
from analysis.limit.template_count import moment_limits, template_count
from analysis.uncertainty import impacts
from fileset import InputError, load_fileset
from fileset.formats.cafana_spectrum import SpectrumFile
from processors.recipes import variation_label
from processors.spectra import spectrum_templates
from processors.templates import Templates

EDGES = [0.0, 0.5, 2.0]


def th1(values, edges=None, squares=(), title=""):
    values = np.asarray(values, dtype=float)
    edges = np.arange(len(values) - 1.0) if edges is None else np.asarray(edges)
    axis = to_TAxis("xaxis", title, len(edges) - 1, edges[0], edges[-1], fXbins=edges)
    sums = (values.sum(), 0.0, 0.0, 0.0)
    return to_TH1x("", "", values, values.sum(), *sums, np.asarray(squares, dtype=float), axis)


def spectrum(values, pot=1e21, squares=(), edges=EDGES, livetime=0.0, title="Shower E (GeV)"):
    """Objects of a directory; values with under- and overflow."""
    return {
        "type": "Spectrum",
        "hist": th1(values, edges, squares, title),
        "pot": th1([0.0, pot, 0.0]),
        "livetime": th1([0.0, livetime, 0.0]),
    }


def ensemble(name, nominal, *universes):
    """Directories of the older layout of an ensemble."""
    spectra = {f"{name}/univ{i}": values for i, values in enumerate(universes)}
    return {name: {"type": "EnsembleSpectrum"}, f"{name}/nom": nominal, **spectra}


@pytest.fixture
def write(tmp_path):
    """Function that writes directories into a file of the test's folder."""

    def function(directories, name="a.root"):
        with uproot.recreate(tmp_path / name) as file:
            for folder, objects in directories.items():
                for key, value in objects.items():
                    file[f"{folder}/{key}"] = value

    return function


@pytest.fixture
def read(tmp_path):
    """Function that makes templates of a description, its files in the test's folder."""

    def function(text):
        path = tmp_path / "spectra.toml"
        path.write_text(text, encoding="utf-8")
        return spectrum_templates(load_fileset(path))

    return function


def describe(spectra, extra="", is_mc=True):
    kind = str(is_mc).lower()
    return (
        f'[mc]\nformat = "cafana_spectrum"\nfiles = ["*.root"]\nis_mc = {kind}\n{extra}\n'
        f"[mc.spectra]\n{spectra}\n"
    )


def counts(templates, category, variation="nominal", dataset="mc"):
    return templates.hist[dataset, category, variation, :].values(flow=True).tolist()


NUONE = spectrum([0, 40, 20, 0])
NC = spectrum([10, 100, 30, 0], squares=[1, 50, 9, 0])
CONTENT = {
    "nuone/nominal": NUONE,
    "nuone/calib_+1": spectrum([0, 44, 22, 0]),
    "nuone/calib_-1": spectrum([0, 37, 20, 0]),
    "nuone/lightdown": spectrum([0, 30, 20, 0]),
    **ensemble("nuone/ppfx", NUONE, spectrum([0, 44, 20, 0]), spectrum([0, 32, 20, 0])),
    "nc/nominal": NC,
    # Of twice the exposure.
    "nc/calib_+1": spectrum([20, 220, 60, 0], pot=2e21),
    **ensemble("nc/ppfx", NC, spectrum([10, 110, 30, 0]), spectrum([10, 90, 30, 0])),
    # Standard Model and a moment of 1e-9 Bohr magnetons together.
    "nuone_mm": spectrum([0, 140, 30, 10]),
    "data": spectrum([0, 18, 3, 1], pot=1e20),
}
DESCRIPTION = """\
[mc]
format = "cafana_spectrum"
files = ["a.root"]
is_mc = true
horn_current = "FHC"

[mc.spectra]
nuone = "nuone/{variation}"
nc = "nc/{variation}"
magnetic_numu = { path = "nuone_mm", minus = "nuone/{variation}", per = 1e-9 }

[nd]
format = "cafana_spectrum"
files = ["a.root"]
is_mc = false

[nd.spectra]
data = "data"
"""


@pytest.fixture
def templates(write, read):
    write(CONTENT)
    return read(DESCRIPTION)


@pytest.fixture
def count(templates, tmp_path):
    templates.save(tmp_path / "templates.zip")
    return template_count(Templates.load(tmp_path / "templates.zip"))


def test_expectation_is_that_of_the_files_at_the_exposure_of_the_data(count):
    # A tenth of 40 + 20 and of 10 + 100 + 30.
    assert count.n_bkg == pytest.approx(20.0)
    assert (count.n_obs, count.pot) == (22, 1e20)


def test_signal_is_the_difference_over_the_squared_moment(count):
    # A tenth of 100 + 10 + 10.
    assert count.signal_per_mu2 == pytest.approx(12.0 / 1e-18)


def test_uncertainty_is_that_added_up_by_hand(count):
    assert count.sources == pytest.approx(
        {
            # Up (44 + 22 + 300 / 2) / 10, down (57 + 140) / 10.
            "calib": 1.6,
            # Down 50 + 140; the file has no other side.
            "light": 1.0,
            # Universes of 64 + 150 and 52 + 130.
            "ppfx": math.sqrt((1.4**2 + 1.8**2) / 2),
            # Poisson 60, and the squares of weights.
            "mc_statistics": math.sqrt(0.01 * (60 + 60)),
        }
    )


def test_limit_is_that_of_the_count_made_by_hand(count):
    sigma = math.sqrt(1.6**2 + 1.0**2 + (1.4**2 + 1.8**2) / 2 + 1.2)
    by_hand = count_limit(22, 20.0, sigma, cl=0.90, method="cls")
    limit = moment_limits(count, cl=0.90, method="cls", expected=False)["cls"]
    assert limit.mu_nu == pytest.approx(1e-9 * math.sqrt(by_hand.upper / 12.0))


def test_every_source_has_its_rank_and_sides(templates):
    found = {impact.name: impact for impact in impacts(templates, 1e20)}
    assert [*found] == ["ppfx", "calib", "mc_statistics", "light"]
    assert (found["light"].up, found["light"].down) == (None, pytest.approx(-1.0))
    assert found["calib"].up == pytest.approx(1.6)
    assert found["ppfx"].shape > 0.0


def test_ledger_has_exposure_and_effective_entries(templates):
    assert templates.ledger.pot("mc") == 1e21
    # Poisson 60, and 140 squared over the squares of weights.
    assert templates.ledger.entries("mc") == round(60 + 140**2 / 60)
    assert templates.ledger.entries("nd") == 22
    assert templates.data_pot == 1e20


def test_axis_is_named_after_its_label(templates):
    axis = templates.hist.axes[3]
    assert (axis.name, axis.label) == ("shower_e_gev", "Shower E (GeV)")
    assert axis.edges.tolist() == EDGES


def test_axis_takes_the_name_of_the_description(write, read):
    write({"a": NUONE})
    templates = read(describe('nuone = "a"', 'axes = ["recoil_energy"]'))
    assert templates.hist.axes[3].name == "recoil_energy"


def test_origins_are_kept(templates):
    origins = templates.provenance["spectra"]["mc"]["magnetic_numu"]
    assert [text.rpartition("a.root:")[2] for text in origins] == ["nuone_mm", "nuone/nominal"]
    assert origins[1].startswith("-")


def test_difference_of_a_shifted_and_a_nominal_spectrum_is_not_made(templates):
    assert counts(templates, "magnetic_numu", "calibUp") == counts(templates, "magnetic_numu")


def test_difference_does_not_count_the_statistics_that_both_share(write, read):
    write({"sm": spectrum([0, 100, 0, 0]), "mm": spectrum([0, 121, 0, 0])})
    templates = read(
        describe('nuone = "sm"\nmagnetic_nue = { path = "mm", minus = "sm", per = 0.1 }')
    )
    assert templates.hist["mc", "magnetic_nue", "nominal", :].variances()[0] == pytest.approx(1e4)


def test_list_is_added_up_and_a_part_without_a_variation_keeps_its_nominal(write, read):
    write({"a/nom": NUONE, "a/x_up": spectrum([0, 50, 20, 0]), "b/nom": NC})
    templates = read(describe('nc = ["a/{variation}", "b/{variation}"]'))
    assert counts(templates, "nc") == [10.0, 140.0, 50.0, 0.0]
    assert counts(templates, "nc", "xUp") == [10.0, 150.0, 50.0, 0.0]


def test_star_stays_in_its_directory(write, read):
    write({"a": NUONE, "deeper/a": NC})
    assert counts(read(describe('nuone = "*"')), "nuone") == [0.0, 40.0, 20.0, 0.0]


def test_one_side_alone_leaves_the_other_at_the_nominal(templates):
    assert counts(templates, "nuone", "lightDown") == [0.0, 30.0, 20.0, 0.0]
    assert counts(templates, "nuone", "lightUp") == counts(templates, "nuone")
    assert templates.datasets["mc"]["one_sided"] == ["lightUp"]


def test_both_sides_below_the_nominal_stay_there(write, read):
    shifts = {"a/x_up": spectrum([0, 30, 20, 0]), "a/x_dn": spectrum([0, 35, 20, 0])}
    write({"a/nom": NUONE, **shifts})
    templates = read(describe('nuone = "a/{variation}"'))
    assert counts(templates, "nuone", "xUp")[1] == 30.0
    assert counts(templates, "nuone", "xDown")[1] == 35.0


def test_variations_in_files_of_their_own_are_told_by_the_name_of_the_file(write, read):
    write({"nuone": NUONE}, "spec_cv.root")
    write({"nuone": spectrum([0, 50, 20, 0], pot=2e21)}, "spec_calib_plus1sigma.root")
    templates = read(describe('nuone = "spec_{variation}.root:nuone"'))
    assert counts(templates, "nuone", "calibUp") == [0.0, 25.0, 10.0, 0.0]
    assert [row.pot for row in templates.ledger.rows] == [0.0, 1e21]


def test_names_of_the_description_come_before_those_of_the_file(write, read):
    write({"a/central": NUONE, "a/shift_a": spectrum([0, 1, 0, 0])})
    new = 'variations = { nominal = "central", calibrationUp = "shift_a" }'
    templates = read(describe('nuone = "a/{variation}"', new))
    assert templates.variations == ["nominal", "calibrationUp", "calibrationDown"]


def test_universes_without_a_name_get_one(write, read):
    write(ensemble("a", NUONE, NUONE, NUONE))
    templates = read(describe('nuone = "a"', 'variations = { genie = "universe" }'))
    assert templates.variations == ["nominal", "genie_000", "genie_001"]


def test_two_axes_become_two_axes(monkeypatch, read, write):
    class Vector:
        def __init__(self, *elements):
            self.elements = elements

        def member(self, name):
            return {"fElements": self.elements}[name]

    folder = spectrum([1, 2, 3, 4, 5, 6, 7, 8], edges=None) | {
        "bins0/edges": Vector(0.0, 1.0, 3.0),
        "bins1/edges": Vector(0.0, 0.1, 0.2, 0.5),
        "label0": "T",
        "label1": "T theta2",
    }

    def opened(path, timeout):
        return SpectrumFile(path, "uuid", {"two": "Spectrum"}, {"two": folder})

    monkeypatch.setattr("processors.spectra.open_spectra", opened)
    write({"two": NUONE})
    templates = read(describe('nuone = "two"').replace("*.root", "a.root"))
    assert templates.hist.axes.name[3:] == ("t", "t_theta2")
    content = templates.prediction(1e21)["nuone", "nominal", ...]
    assert content.values().tolist() == [[2.0, 3.0, 4.0], [5.0, 6.0, 7.0]]
    assert content.sum(flow=True).value == 36.0


def test_explicit_exposure_is_that_of_spectra_without_one(write, read):
    write({"cosmic": spectrum([0, 5, 5, 0], pot=0.0, livetime=120.0)})
    templates = read(describe('cosmic = "cosmic"', "pot = 2e20"))
    assert templates.prediction(1e20).sum().value == pytest.approx(5.0)


def test_explicit_exposure_keeps_the_ratio_of_those_in_the_file(write, read):
    write({"a/nom": NUONE, "a/x_up": spectrum([0, 80, 40, 0], pot=2e21)})
    templates = read(describe('nuone = "a/{variation}"', "pot = 5e20"))
    assert counts(templates, "nuone", "xUp") == counts(templates, "nuone")
    assert templates.ledger.pot("mc") == 5e20


def test_template_of_a_linear_property_is_divided_once(write, read):
    write({"sm": NUONE, "r": spectrum([0, 2, 1, 0])})
    templates = read(describe('nuone = "sm"\ncharge_radius_numu = { path = "r", per = 1e-32 }'))
    assert counts(templates, "charge_radius_numu")[1] == pytest.approx(2e32)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("calib_plus1sigma", "calibUp"),
        ("calib_minus_1", "calibDown"),
        ("calib_-2", "calib_2sigmaDown"),
        ("calibUp", "calibUp"),
        ("calib_2sigmaUp", "calib_2sigmaUp"),
        ("lightdown", "lightDown"),
        ("ppfx_univ_12", "ppfx_univ_012"),
        ("12", "universe_012"),
        ("MCNP", "MCNPUp"),
    ],
)
def test_label_of_a_variation_follows_the_name(name, label):
    assert variation_label(name) == label


@pytest.mark.parametrize(
    ("spectra", "extra", "message"),
    [
        ('nuon = "a"', "", "spectra has no key 'nuon'; closest: nuone"),
        ('data = "a"', "", "spectra has no key 'data'"),
        ('nuone = { dir = "a" }', "", r"spectra\.nuone: unknown key 'dir'; known: path"),
        ("nuone = 3", "", r"spectra\.nuone = 3, expected the directory"),
        ('nuone = { path = "a", per = 1e-9 }', "", "'per' and 'minus' are for signal templates"),
        ('magnetic_nue = "a"', "", "per = None, expected the value that the template was made"),
        ('nuone = "b"', "", "no spectrum matches 'b'; "),
        ('nuone = "*"', "", "gives 'nominal' twice, .*a.root:a and .*a.root:c"),
        ('nuone = "{variation}"', "", "gives aUp, cUp and no nominal"),
        ('nuone = "a"\nnc = "a"', "", "a.root:a is in spectra.nc .* and in spectra.nuone"),
        ('nuone = "c"', "", "c has 0.0 POT and a livetime of 12 s, expected > 0; set 'pot'"),
        ('nuone = "a"\nnc = "c"', "pot = 1e20", "c has 0.0 POT, .*a has 1e.21; describe them as"),
        ('nuone = "a"', 'variations = { xUp = "y" }', "variations.xUp: no variation is named 'y'"),
        ('nuone = "a"', 'variations = { x = "c", y = "c" }', "variations.x = 'c', expected a name"),
        ('nuone = "a"', "overlay = true", "set 'pot' to that of the overlaid events"),
        ('nuone = "a"', 'axes = ["T", "theta"]', "expected 1 different names"),
        ('nuone = "a"', 'axes = ["category"]', "none of them dataset, category, variation"),
    ],
)
def test_description_that_cannot_be_right_is_refused(write, read, spectra, extra, message):
    write({"a": NUONE, "c": spectrum([0, 1, 1, 0], pot=0.0, livetime=12.0)})
    with pytest.raises(InputError, match=message):
        read(describe(spectra, extra))


@pytest.mark.parametrize("pot", [0.0, -1.0, math.nan, math.inf])
def test_spectrum_without_exposure_is_refused(write, read, pot):
    write({"a": spectrum([0, 1, 1, 0], pot=pot)})
    with pytest.raises(InputError, match="POT, expected > 0; set 'pot'"):
        read(describe('nuone = "a"'))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (spectrum([0, 1, 1, 1, 0], edges=[0, 1, 2, 3]), "b has other bins than .*a.root:a"),
        (spectrum([0, 1, 1, 0], edges=[0.0, 0.6, 2.0]), "b has other bins than .*a.root:a"),
        (spectrum([0, 0, 0, 0]), "b is empty; fill it again or leave it out"),
    ],
)
def test_spectra_that_do_not_go_together_are_refused(write, read, other, message):
    write({"a": NUONE, "b": other})
    with pytest.raises(InputError, match=message):
        read(describe('nuone = "a"\nnc = "b"'))


def test_data_below_zero_are_refused(write, read):
    write({"a": spectrum([0, -1, 1, 0])})
    with pytest.raises(InputError, match="bins below 0, which data cannot have"):
        read(describe('data = "a"', is_mc=False))


def test_file_of_which_nothing_is_used_is_refused(write, read):
    write({"a": NUONE})
    write({"b": NUONE}, "b.root")
    with pytest.raises(InputError, match=r"no spectrum of .*b\.root is used"):
        read(describe('nuone = "a"'))


def test_different_numbers_of_universes_are_refused(write, read):
    write(ensemble("a", NUONE, NUONE, NUONE) | ensemble("b", NC, NC))
    with pytest.raises(InputError, match=r"spectra.nc has 1 universes 'universe', .* has 2 or"):
        read(describe('nuone = "a"\nnc = "b"'))


def test_ensemble_around_another_nominal_is_refused(write, read):
    write({"a/nom": NUONE} | ensemble("a/ppfx", NC, NUONE))
    with pytest.raises(InputError, match=r"nominal of the ensemble .*a/ppfx is not .*a/nom"):
        read(describe('nuone = "a/{variation}"'))


def test_events_and_spectra_in_one_description_are_refused(write, read):
    write({"a": NUONE})
    events = '[events]\nfiles = ["a.root"]\nformat = "nova_caf"\n'
    with pytest.raises(InputError, match="'events' is not of format cafana_spectrum"):
        read(events + describe('nuone = "a"'))


def test_description_of_the_documentation_is_understood():
    import processors.recipes

    text = processors.recipes.__doc__.split("::\n")[1].split("\nKeys")[0]
    assert tomllib.loads(text.replace("\n    ", "\n"))["mc"]["spectra"]["nuone"]
