"""Physical constants and unit factors, each written once, with unit and source.

Everything inside the package is in GeV, cm^2, Bohr magnetons and radians with hbar = c = 1.
Multiply by ``KEV`` or ``MEV`` at the door, never inside. Numbers that belong to one experiment
(composition, exposure) live with its row, not here.
"""

import math

EV = 1e-9  # electronvolt [GeV]
KEV = 1e-6  # kilo-electronvolt [GeV]
MEV = 1e-3  # mega-electronvolt [GeV]
TEV = 1e3  # tera-electronvolt [GeV]
FM_TO_CM = 1e-13  # femtometre [cm]
SPEED_OF_LIGHT = 299792458.0  # [m/s], exact in the SI

G_F = 1.1663788e-5  # Fermi constant [GeV^-2], PDG
ALPHA = 7.2973525693e-3  # fine-structure constant at Q^2 = 0 [1], CODATA 2018
M_E = 0.51099895000e-3  # electron mass [GeV], CODATA 2018
ATOMIC_MASS_UNIT = 0.93149410242  # u [GeV], CODATA 2018
M_MU = 0.1056583755  # muon mass [GeV], CODATA 2018
M_TAU = 1.77686  # tau mass [GeV], PDG 2022
M_W = 80.3692  # W boson mass [GeV], PDG 2024
# The 10-digit value in common use, 0.1973269804, shifts every cross-section by 6e-10.
HBAR_C = 0.1973269804593  # hbar c [GeV fm], exact in the SI of 2019, here to 13 digits

SIN2_THETA_W = 0.23129  # weak mixing angle [1], MSbar at the Z mass, PDG; the default everywhere
SIN2_THETA_W_NOVA = 0.2313  # [1], tree level of NOvA's neutrino-electron event weights

# Effective couplings of Sarantakos, Sirlin and Marciano, Nucl. Phys. B 217, 84 (1983), with the
# values of the public NOvA neutrino-electron fit; electroweak corrections are already inside.
G_LEFT_SARANTAKOS_NUE = 0.72764  # [1]
G_LEFT_SARANTAKOS_NUMU = -0.2730  # [1], also for nu_tau
G_RIGHT_SARANTAKOS = 0.2334  # [1]

# Bahcall, Kamionkowski and Sirlin, Phys. Rev. D 51, 6146 (1995), appendix A: kappa = a + b I(T).
RHO_BKS = 1.0126  # [1]
SIN2_THETA_W_BKS = 0.2317  # [1], the mixing angle that rho and kappa go with
KAPPA_BKS_NUE = (0.9791, 0.0097)  # (a, b) [1]
KAPPA_BKS_NUMU = (0.9970, -0.00037)  # (a, b) [1], also for nu_tau

METRE = 100.0 / (HBAR_C * FM_TO_CM)  # metre [GeV^-1]
SECOND = SPEED_OF_LIGHT * METRE  # second [GeV^-1]; also 1 / hbar, with hbar in GeV s
GEV2_TO_CM2 = (HBAR_C * FM_TO_CM) ** 2  # GeV^-2 as an area [cm^2]
ELEMENTARY_CHARGE = math.sqrt(4.0 * math.pi * ALPHA)  # e [1], Heaviside-Lorentz
TESLA = EV * SECOND / METRE**2 / ELEMENTARY_CHARGE  # tesla [GeV^2], Heaviside-Lorentz
BOHR_MAGNETON = ELEMENTARY_CHARGE / (2.0 * M_E)  # mu_B = e / (2 m_e) [GeV^-1]
K_SM = 2.0 * G_F**2 * M_E / math.pi * GEV2_TO_CM2  # 2 G_F^2 m_e / pi [cm^2/GeV]
K_MAGNETIC = ALPHA * BOHR_MAGNETON**2 * GEV2_TO_CM2  # pi alpha^2 / m_e^2 [cm^2]
# Shift of both couplings, half that of g_V, per unit of charge radius squared: Giunti-Studenikin.
CHARGE_RADIUS_SHIFT = math.sqrt(2.0) * math.pi * ALPHA / (6.0 * G_F) / GEV2_TO_CM2  # [cm^-2]
# Shift of both couplings times recoil energy, per neutrino charge in units of e > 0.
MILLICHARGE_SHIFT = -math.sqrt(2.0) * math.pi * ALPHA / (2.0 * G_F * M_E)  # [GeV]
