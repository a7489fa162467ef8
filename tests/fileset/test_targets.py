"""Electrons and nuclei per tonne against published densities and sums."""

import math

import pytest

from fileset.targets import (
    ATOMS,
    COMPOSITION_BY_MASS,
    ELECTRONS_PER_TONNE,
    ISOTOPES,
    Target,
    electrons_per_tonne,
    mass_fractions,
    nuclei_per_tonne,
)


@pytest.mark.parametrize(
    ("material", "electrons", "tolerance"),
    [
        pytest.param("nova", 3.2956e29, 1e-4, id="NOvA, from its composition by mass"),
        pytest.param("water", 3.343e29, 1e-3, id="water"),
        # Borexino: (3.307 +- 0.003) x 10^31 electrons per 100 tonnes.
        pytest.param("pseudocumene", 3.307e29, 1e-3, id="Borexino"),
        pytest.param("xenon", 54 / 131.29 * 6.02214e29, 1e-5, id="xenon"),
        # Half an electron per nucleon, times the weight of the nucleon number in g/mol.
        pytest.param("polystyrene", 7 / 13.019 * 6.02214e29, 1e-5, id="MINERvA"),
    ],
)
def test_electron_densities_match_published_numbers(material, electrons, tolerance):
    assert ELECTRONS_PER_TONNE[material] == pytest.approx(electrons, rel=tolerance, abs=0.0)


def test_mineral_oil_has_four_per_cent_more_electrons_than_nova():
    ratio = ELECTRONS_PER_TONNE["mineral_oil"] / ELECTRONS_PER_TONNE["nova"]
    assert ratio == pytest.approx(1.04, abs=5e-3)


@pytest.mark.parametrize("material", COMPOSITION_BY_MASS)
def test_mass_fractions_of_every_material_add_up_to_one(material):
    assert sum(COMPOSITION_BY_MASS[material].values()) == pytest.approx(1.0, abs=3e-3)


@pytest.mark.parametrize("element", ATOMS)
def test_isotopes_of_every_element_average_to_its_atomic_weight(element):
    abundances = ISOTOPES[element]
    assert math.fsum(abundances.values()) == pytest.approx(1.0, abs=1e-4)
    mean = math.fsum(A * abundance for A, abundance in abundances.items())
    # Mass defects shift a nuclear mass from its mass number by 0.1 % (1 % for hydrogen).
    assert mean == pytest.approx(ATOMS[element][1], rel=1.5e-3 if element != "H" else 1e-2, abs=0.0)


@pytest.mark.parametrize("material", COMPOSITION_BY_MASS)
def test_protons_of_the_nuclei_equal_the_electrons(material):
    nuclei = Target(material, 2.5).nuclei
    protons = math.fsum(Z * count for (Z, _), count in nuclei.items())
    assert protons == pytest.approx(Target(material, 2.5).electrons, rel=1e-4, abs=0.0)


def test_caesium_iodide_has_as_many_nuclei_of_caesium_as_of_iodine():
    nuclei = nuclei_per_tonne(COMPOSITION_BY_MASS["caesium_iodide"])
    assert nuclei[55, 133] == pytest.approx(nuclei[53, 127])
    # 14.57 kg of the COHERENT detector: 14570 g / 259.81 g/mol.
    assert 14.57e-3 * nuclei[55, 133] == pytest.approx(
        14570 / 259.81 * 6.02214e23, rel=1e-5, abs=0.0
    )


def test_formula_with_fractions_of_atoms_is_the_same_substance():
    assert mass_fractions({"C": 1, "H": 2}) == pytest.approx(mass_fractions({"C": 0.5, "H": 1}))


def test_unknown_element_is_named():
    with pytest.raises(ValueError, match=r"elements \['Xx'\] have no atomic weight here; known"):
        electrons_per_tonne({"H": 0.1, "Xx": 0.9})


@pytest.mark.parametrize("composition", [{"H": 0.2, "O": 0.9}, {"H": -0.1}])
def test_impossible_mass_fractions_are_refused(composition):
    with pytest.raises(ValueError, match="add up to at most 1"):
        nuclei_per_tonne(composition)


@pytest.mark.parametrize(
    ("material", "mass", "message"),
    [
        ("xenonn", 1.0, "no target material 'xenonn'; closest: xenon"),
        ("nova", 0.0, r"target mass 0.0; expected a positive number \[tonne\]"),
        ("nova", math.nan, "target mass nan"),
    ],
)
def test_impossible_targets_are_refused(material, mass, message):
    with pytest.raises(ValueError, match=message):
        Target(material, mass)
