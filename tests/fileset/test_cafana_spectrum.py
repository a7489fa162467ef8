"""CAFAna spectra: what their writers write, read back; a real file; everything that is refused."""

import numpy as np
import pytest
import uproot
from uproot.writing.identify import to_TAxis, to_TH1x

from fileset.errors import InputError
from fileset.formats.cafana_spectrum import (
    open_spectra,
    read_ensemble,
    read_spectrum,
    survey_spectra,
)

EDGES = [0.0, 0.5, 1.0, 2.0]
VALUES = [0.25, 1.0, 2.0, 4.0, 0.75]
GROUP = chr(29)


def th1(values, edges=None, squares=(), title=""):
    """TH1D with under- and overflow; without squares as a histogram that was never weighted."""
    values = np.asarray(values, dtype=float)
    edges = np.arange(len(values) - 1.0) if edges is None else np.asarray(edges)
    axis = to_TAxis("xaxis", title, len(edges) - 1, edges[0], edges[-1], fXbins=edges)
    sums = (values.sum(), 0.0, 0.0, 0.0)
    return to_TH1x("", "", values, values.sum(), *sums, np.asarray(squares, dtype=float), axis)


class Vector:
    """Stands for the TVectorD of a binning, which uproot reads but does not write."""

    def __init__(self, elements):
        self.elements = elements

    def member(self, name):
        return {"fElements": np.asarray(self.elements, dtype=">f8")}[name]


def spectrum(values=VALUES, edges=EDGES, squares=(), pot=1e20, livetime=0.0, title="Energy (GeV)"):
    """Objects of a directory of an old file, without binnings."""
    return {
        "type": "Spectrum",
        "hist": th1(values, edges, squares, title),
        "pot": th1([0.0, pot, 0.0]),
        "livetime": th1([0.0, livetime, 0.0]),
    }


def write(path, **directories):
    with uproot.recreate(path) as file:
        for name, objects in directories.items():
            for key, value in objects.items():
                file[f"{name}/{key}" if name != "root" else key] = value
    return str(path)


@pytest.fixture
def one(tmp_path):
    def read(**options):
        path = write(tmp_path / "one.root", nuone=spectrum(**options))
        return open_spectra(path).read("nuone")

    return read


def test_content_exposure_and_label_are_those_written(one):
    read = one(livetime=12.0)
    assert read.values.tolist() == VALUES
    assert (read.pot, read.livetime, read.labels) == (1e20, 12.0, ("Energy (GeV)",))
    assert read.edges[0].tolist() == EDGES


def test_variances_are_the_squares_of_weights(one):
    assert one(squares=[0.1, 0.2, 0.3, 0.4, 0.5]).variances.tolist() == [0.1, 0.2, 0.3, 0.4, 0.5]


def test_variances_of_a_histogram_without_squares_are_poisson(one):
    assert one().variances.tolist() == VALUES


def test_variances_of_negative_bins_are_positive(one):
    assert one(values=[0.0, -1.0, 2.0, 0.0, 0.0]).variances.tolist() == [0.0, 1.0, 2.0, 0.0, 0.0]


def test_effective_entries_are_the_squared_sum_over_the_variance(one):
    assert one(squares=[0.5, 0.5, 0.5, 0.5, 2.0]).entries == pytest.approx(8.0**2 / 4.0)


def test_real_file_has_its_three_spectra(shared):
    path = str(shared / "data/events/nova_cafana_spectra/spectra.root")
    spectra, problems = survey_spectra(path)
    assert problems == []
    assert [s.name for s in spectra] == [f"subdir_{x}E_spectra" for x in ("had", "mu", "numu")]
    assert {s.pot for s in spectra} == {5.937308454461104e23}
    # MANIFEST: 100 bins of 0 to 10.
    assert spectra[0].edges[0] == pytest.approx(np.linspace(0.0, 10.0, 101))
    assert spectra[0].labels == ("hadE_spectra",)
    assert spectra[0].total == pytest.approx(524110.776)


def test_file_of_one_spectrum_without_a_directory_is_read(tmp_path):
    path = write(tmp_path / "a.root", root=spectrum())
    assert open_spectra(path).read(".").values.tolist() == VALUES


def test_spectra_deep_in_predictions_are_found_and_binnings_are_not(tmp_path):
    prediction = {"type": "PredictionNoOsc"}
    path = write(
        tmp_path / "a.root",
        **{"pred": prediction, "pred/spect_nc": spectrum(), "pred/spect_nc/bins0": {"type": "B"}},
    )
    assert open_spectra(path).kinds == {"pred/spect_nc": "Spectrum"}


def test_several_axes_are_cut_out_of_one_histogram_with_the_last_axis_fastest():
    folder = {
        "hist": th1([0.25, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 0.5]),
        "pot": th1([0.0, 1e20, 0.0]),
        "bins0/edges": Vector([0.0, 1.0, 3.0]),
        "bins1/edges": Vector([0.0, 0.1, 0.2, 0.5]),
        "label0": "T",
        "label1": "theta",
    }
    read = read_spectrum(folder, "two")
    assert read.values[1:-1, 1:-1].tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    assert (read.values[0, 0], read.values[-1, -1], read.total) == (0.25, 0.5, 15.75)
    assert read.labels == ("T", "theta")


def test_binning_of_equal_width_without_edges_is_read():
    folder = spectrum(edges=[0, 1, 2, 3]) | {"bins0/nminmax": Vector([3, 0.0, 6.0])}
    assert read_spectrum(folder, "old").edges[0].tolist() == [0.0, 2.0, 4.0, 6.0]


def ensemble(multiverse, universes=3, spare=2):
    """Newer layout: histogram of all universes, each with under- and overflow, nominal first."""
    content = [100.0 * u + b for u in range(universes) for b in range(5)] + [0.0] * spare
    return {
        "type": "EnsembleSpectrum",
        "multiverse": GROUP.join(multiverse),
        "hist": th1(content),
        "pot": th1([0.0, 1e20, 0.0]),
        "bins0/edges": Vector(EDGES),
        "label0": "T",
    }


@pytest.mark.parametrize("spare", [0, 2])
def test_universes_of_a_gas_follow_its_nominal(spare):
    read = read_ensemble(ensemble(["gas", "nuniv=2", "seed=1", "ppfx", "md5=x"], 3, spare), "e")
    assert read.values.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert read.universes["000"].values.tolist() == [100.0, 101.0, 102.0, 103.0, 104.0]
    assert read.universes["001"].values.tolist() == [200.0, 201.0, 202.0, 203.0, 204.0]
    assert read.source == "ppfx"


def test_universes_of_a_cross_are_named_by_systematic_and_shift():
    read = read_ensemble(ensemble(["cross", "nsigma=1", "calib", "light", "md5=x"], 5), "e")
    assert list(read.universes) == ["calib_-1", "calib_+1", "light_-1", "light_+1"]
    assert read.universes["light_+1"].values[0] == 400.0


def test_ensemble_of_directories_is_one_spectrum_with_universes(tmp_path):
    path = write(
        tmp_path / "a.root",
        **{
            "all": {"type": "EnsembleSpectrum"},
            "all/nom": spectrum(),
            "all/univ0": spectrum([0.0, 1.0, 1.0, 1.0, 0.0]),
            "all/univ1": spectrum([0.0, 2.0, 2.0, 2.0, 0.0]),
        },
    )
    file = open_spectra(path)
    assert file.kinds == {"all": "EnsembleSpectrum"}
    read = file.read("all")
    assert read.values.tolist() == VALUES
    assert [u.total for u in read.universes.values()] == [3.0, 6.0]


class Sparse:
    """Stands for a THnSparse in memory, as ROOT lays it out."""

    def __init__(self, **members):
        self.members = members

    def member(self, name):
        return self.members[name]


def test_sparse_content_is_placed_by_its_bytes():
    chunk = Sparse(
        fSingleCoordinateSize=2,
        # Bins 1, 200 and 300 = 1 * 256 + 44; bytes above 127 are negative in ROOT's char.
        fCoordinates=np.array([1, 0, -56, 0, 44, 1], dtype=np.int8),
        fContent=np.array([1.0, 2.0, 3.0, 0.0]),
        fSumw2=None,
    )
    axis = th1(np.zeros(402)).member("fXaxis")
    folder = {"hist_sparse": Sparse(fAxes=[axis], fBinContent=[chunk])}
    read = read_spectrum(folder, "sparse")
    assert np.flatnonzero(read.values).tolist() == [1, 200, 300]
    assert read.values[[1, 200, 300]].tolist() == [1.0, 2.0, 3.0]
    assert read.variances.tolist() == read.values.tolist()


def test_exposure_that_is_not_in_the_file_is_not_a_number():
    assert np.isnan(read_spectrum({"hist": th1(VALUES, EDGES)}, "a").pot)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_content_that_is_not_finite_is_refused(one, bad):
    with pytest.raises(InputError, match=r"one\.root: spectrum 'nuone': 1 of 5 bins are not fin"):
        one(values=[0.0, 1.0, bad, 1.0, 0.0])


def test_errors_that_are_no_numbers_are_refused(one):
    with pytest.raises(InputError, match="errors that are not finite; save the spectra that it"):
        one(squares=[0.0, 1.0, np.nan, 1.0, 0.0])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        pytest.param(
            {"bins0/edges": Vector([0, 1])}, "3 bins of content, 1 of its axes", id="bins"
        ),
        pytest.param({"bins0/edges": Vector([0, 2, 1, 3])}, "do not rise", id="edges"),
        pytest.param({"label1": "theta"}, r"more labels than binnings \(0\)", id="labels"),
        pytest.param({"hist": None}, "expected a one-dimensional 'hist'", id="no content"),
    ],
)
def test_spectrum_that_does_not_fit_together_is_refused(changed, message):
    with pytest.raises(InputError, match=message):
        read_spectrum(spectrum() | changed, "a")


@pytest.mark.parametrize(
    ("multiverse", "universes", "message"),
    [
        pytest.param(["gas", "nuniv=9", "seed=1", "md5=x"], 3, "2 universes beside", id="gas"),
        pytest.param(["cross", "nsigma=2", "a", "md5=x"], 3, "its multiverse has 4", id="cross"),
    ],
)
def test_universes_that_are_not_all_there_are_refused(multiverse, universes, message):
    with pytest.raises(InputError, match=message):
        read_ensemble(ensemble(multiverse, universes), "e")


def test_part_of_a_universe_is_refused():
    with pytest.raises(InputError, match="18 bins are no whole number of universes of 5 bins"):
        read_ensemble(ensemble([""], 3, spare=3), "e")


def test_spectrum_that_needs_weights_is_refused_and_not_surveyed(tmp_path):
    path = write(tmp_path / "a.root", a=spectrum() | {"type": "OscillatableSpectrum"})
    assert survey_spectra(path) == ([], [])
    with pytest.raises(
        InputError, match="'a' is of class OscillatableSpectrum: its content depends on"
    ):
        open_spectra(path).read("a")


def test_survey_goes_on_after_a_broken_spectrum(tmp_path):
    path = write(tmp_path / "a.root", bad=spectrum([np.nan] * 5), good=spectrum())
    spectra, problems = survey_spectra(path)
    assert [s.name for s in spectra] == ["good"]
    assert len(problems) == 1


def test_name_that_is_not_there_is_answered_with_its_neighbours(tmp_path):
    path = write(tmp_path / "a.root", nuone=spectrum())
    with pytest.raises(InputError, match="no spectrum 'nuon'; closest: nuone"):
        open_spectra(path).read("nuon")


def test_file_that_is_not_root_is_refused(tmp_path):
    path = tmp_path / "a.root"
    path.write_text("no spectra")
    with pytest.raises(InputError, match=r"a\.root: spectra: cannot be read"):
        open_spectra(str(path))
