"""What a row may hold as input: one check per number, and the inputs of each likelihood.

A new likelihood is one entry of `INPUTS` here and one function in `recompute`.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Check = Callable[[str, object], Any]

_TINY = 5e-324
FLAVOURS = ("nue", "nuebar", "numu", "numubar", "nutau", "nutaubar")
"""Names of flavours in rows."""


class Nuisance(NamedTuple):
    """Effect of one standard deviation of a parameter that rows may share.

    Attributes
    ----------
    background : float
        Shift of what is expected without a moment, relative or [mag], part of the uncertainty
        that the row gives for it.
    signal : float
        Relative change of the signal, beyond the uncertainties that the row has.
    """

    background: float = 0.0
    signal: float = 0.0


def number(low: float = _TINY, high: float = math.inf) -> Check:
    """Check of a finite number in a range, both ends included."""

    def check(where: str, value: object) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ValueError(f"{where} = {value!r}; expected a number")
        if not (low <= value <= high and math.isfinite(value)):
            sign = {0.0: ", not negative", -math.inf: ""}.get(low, ", positive")
            below = f" and at most {high:g}" if high < math.inf else ""
            raise ValueError(f"{where} = {value!r}; expected a finite number{sign}{below}")
        return float(value)

    return check


def text(where: str, value: object) -> str:
    """Check of a text that says something."""
    if not (isinstance(value, str) and value.strip()):
        raise ValueError(f"{where} = {value!r}; expected a text")
    return value


def choice(*allowed: str) -> Check:
    """Check of one of some words."""

    def check(where: str, value: object) -> str:
        if value not in allowed:
            raise ValueError(f"{where} = {value!r}; expected one of {', '.join(allowed)}")
        return str(value)

    return check


def count(where: str, value: object) -> int:
    """Check of a whole number of events."""
    checked = number(0.0)(where, value)
    if checked != int(checked):
        raise ValueError(f"{where} = {value}; expected a whole number")
    return int(checked)


def window(where: str, ends: object) -> tuple[float, float]:
    """Check of a range in energy."""
    if not (isinstance(ends, list) and len(ends) == 2):
        raise ValueError(f"{where} = {ends!r}; expected [lowest, highest] in GeV")
    low, high = (number()(where, end) for end in ends)
    if not low < high:
        raise ValueError(f"{where} = {ends!r}; expected the lower end first, in GeV")
    return low, high


def numbers(where: str, values: object) -> tuple[float, ...]:
    """Check of a list of numbers, none negative."""
    if not (isinstance(values, list) and values):
        raise ValueError(f"{where} = {values!r}; expected a list of numbers")
    return tuple(number(0.0)(where, value) for value in values)


def weights(where: str, values: object) -> dict[str, float]:
    """Check of a table of positive numbers by name."""
    if not (isinstance(values, dict) and values):
        raise ValueError(f"{where} = {values!r}; expected a table of numbers by name")
    return {key: number()(f"{where}.{key}", value) for key, value in values.items()}


def flux(where: str, value: object) -> str | dict[str, Any]:
    """Check of a table of ``fileset/fluxes``, or of a source that follows from a formula."""
    if isinstance(value, str):
        return text(where, value)
    if not isinstance(value, dict) or value.get("source") not in _SOURCES:
        raise ValueError(
            f"{where} = {value!r}; expected the name of a table in fileset/fluxes, or a table with "
            f"source = one of {', '.join(_SOURCES)}"
        )
    checks = {"source": text, **_SOURCES[value["source"]]}
    return checked(where, value, checks)


def names(where: str, values: object) -> tuple[str, ...]:
    """Check of a list of words."""
    if not (isinstance(values, list) and values):
        raise ValueError(f"{where} = {values!r}; expected a list of names")
    return tuple(text(where, value) for value in values)


def flavours(where: str, values: object) -> tuple[str, ...]:
    """Check of a list of neutrino flavours."""
    return tuple(choice(*FLAVOURS)(where, name) for name in names(where, values))


def spectrum(where: str, value: object) -> dict[str, Any]:
    """Check of a data release by the name of its folder, or of a small table in the row."""
    if isinstance(value, dict) and "release" in value:
        return checked(where, value, {"release": text})
    if not isinstance(value, dict):
        raise ValueError(f"{where} = {value!r}; expected a table, or release = its folder")
    columns = checked(where, value, _SPECTRUM)
    bins = len(columns["edges"]) - 1
    for key in ("counts", "background"):
        if len(columns[key]) != bins:
            raise ValueError(f"{where}.{key}: {len(columns[key])} values for {bins} bins")
    return columns


def pair(where: str, values: object) -> tuple[float, ...]:
    """Check of two numbers, none negative."""
    found = numbers(where, values)
    if len(found) != 2:
        raise ValueError(f"{where} = {values!r}; expected two numbers")
    return found


def pairs(where: str, values: object) -> tuple[tuple[float, ...], ...]:
    """Check of a list of pairs of numbers."""
    found = values if isinstance(values, list) else []
    checked_pairs = tuple(numbers(where, pair) for pair in found)
    if not checked_pairs or any(len(pair) != 2 for pair in checked_pairs):
        raise ValueError(f"{where} = {values!r}; expected pairs of numbers")
    return checked_pairs


def nuisances(where: str, table: Mapping[str, Any], taken: set[str]) -> dict[str, Nuisance]:
    """Check of the nuisances of a row: what one standard deviation does, by name."""
    if clash := sorted({*taken, "published"} & set(table)):
        raise ValueError(f"{where}: {clash} are names of inputs; call the nuisances otherwise")
    found = {}
    for name, effects in table.items():
        if not isinstance(effects, dict) or not effects:
            raise ValueError(f"{where}.{name} = {effects!r}; expected background or signal = size")
        require_keys(f"{where}.{name}", effects, set(), set(Nuisance._fields))
        sizes = {key: number(_TINY, 1.0)(f"{where}.{name}.{key}", v) for key, v in effects.items()}
        found[name] = Nuisance(**sizes)
    return found


def require_keys(where: str, table: Mapping[str, Any], needed: set[str], may: set[str]) -> None:
    """Refuse keys that are missing or unknown; the message names them."""
    wrong = sorted((needed - set(table)) | (set(table) - needed - may))
    if wrong:
        optional = f", optionally {sorted(may)}" if may else ""
        raise ValueError(
            f"{where}: missing or unknown keys {wrong}; expected exactly {sorted(needed)}{optional}"
        )


def checked(where: str, table: Mapping[str, Any], checks: Mapping[str, Check]) -> dict[str, Any]:
    """Table with exactly the keys that are expected, each value checked."""
    require_keys(where, table, set(checks), set())
    return {key: check(f"{where}.{key}", table[key]) for key, check in checks.items()}


_PROBABILITY = number(_TINY, 0.999999)
_FRACTION = number(_TINY, 1.0)
_SOURCES: dict[str, dict[str, Check]] = {
    "reactor": {"thermal_power": number(), "distance": number(), "fission_fractions": weights},
    "stopped_pion": {"pions": number(), "distance": number()},  # per proton, [m]
    "solar": {"components": names, "survival": _FRACTION},
}

# Edges [keV], events, fitted background [events], [energy [keV], efficiency] pairs.
_SPECTRUM: dict[str, Check] = {
    **dict.fromkeys(("edges", "counts", "background"), numbers),
    "efficiency": pairs,
}

_RATE: dict[str, Check] = {"flux": flux, "recoil_energy": window}
INPUTS: dict[str, dict[str, Check]] = {
    "quoted": {},
    "counting": _RATE
    | {
        "n_obs": count,
        "n_bkg": number(),
        "background_syst": number(0.0),
        "nue_fraction": _FRACTION,
        "pot": number(),
        "pot_mc": number(),
        "ttheta2_max": number(),
    },
    # Sensitivity of a count: events from flux, target and efficiency; no data.
    "expected_count": _RATE
    | {
        "target": text,
        "mass": number(),  # [tonne]
        "exposure": number(),  # POT; 1 for a flux of a whole data set
        "efficiency": _FRACTION,
        "background_ratio": number(0.0),  # other background over nu-e scattering [1]
        "background_syst": number(0.0),  # of all that is expected without moment [relative]
        "flavours": flavours,
    },
    # Measured rate over that of the Standard Model: Gaussian in mu^2.
    "rate_ratio": _RATE | {"ratio": number(), "uncertainties": numbers},
    # sum of coefficients x moments^2 < bound.
    "relation": {"bound": number(), "coefficients": weights, "moment": text},
    "solar_flavour": {
        "mu_eff": number(),
        "survival": _PROBABILITY,
        "sin2_theta23": _PROBABILITY,
        "moment": choice("nue", "numu", "nutau"),
    },
    # Spectra with the reactor on and off, flat background: statistical sensitivity.
    "on_off": _RATE
    | {
        "target": choice("germanium"),
        "mass": number(),  # [kg]
        "hours_on": number(),
        "hours_off": number(),
        "background": number(),  # [1/(kg keV day)]
        "bin_width": number(),  # [GeV]
    },
    # Events of the XENONnT release with flux x cross-section x response.
    "xenon_spectrum": {
        "flux": flux,
        "spectrum": spectrum,
        "exposure": number(),  # [tonne year]
        "recoil_energy": window,
        "resolution": numbers,  # a, b of sigma = a sqrt(E) + b E, energies in keV
        "efficiency_of": choice("true", "reconstructed"),
        "background_syst": number(0.0),  # normalisation [relative]; 0: free
        "moment": choice("effective", "nue", "numu", "nutau"),
        "sin2_theta23": _PROBABILITY,
    },
    # Events of the COHERENT release with flux x coherent cross-section x quenching x response.
    "cevns_spectrum": {
        "flux": flux,
        "release": text,
        "mass": number(),  # [kg]
        "exposure": number(),  # POT
        "acceptance": weights,  # in time, by flavour [1]
        "light_yield": number(),  # photoelectrons per keV of light
        "resolution": number(),  # shape of the gamma distribution: 1 + resolution x photoelectrons
        "light": window,  # photoelectrons
        "beam_neutrons": pair,  # events and their relative uncertainty
        "neutrino_neutrons": pair,
        "normalisation_syst": number(),  # of coherent scattering [relative]
        "moment": choice("effective", "nue", "numu"),
    },
    "red_giant_tip": {
        "observed": number(-math.inf),  # [mag]
        "uncertainties": numbers,  # of observation and theory [mag]
    },
    "plasmon_emission": {
        "temperature": number(),  # [GeV]
        "density": number(),  # [g/cm^3]
        "electron_fraction": _FRACTION,
        "excess": number(),  # magnetic over Standard Model loss [1]
    },
    "supernova": {
        "temperature": number(),  # [GeV]
        "density": number(),  # [g/cm^3]
        "electron_fraction": _FRACTION,
        "neutrino_potential": number(),  # [GeV]
        "radius": number(),  # [cm]
        "luminosity": number(),  # [erg/s]
    },
    "thermalisation": {"extra_neutrinos": number()},
    "radiative_decay": {"mass": number(), "lifetime": number()},  # [GeV], [s]
    "dirac_moment": {"mass": number()},  # [GeV]
}
"""Inputs of each likelihood by name, all of them needed."""
