"""One job, done by this package and by what else a person would use: who needs how much CPU time?

::

    python -m benchmarks.variations --root-python ~/root/bin/python

The job
-------
Input: one TTree with the branches of the simulated NOvA file (``fileset/simulate/caf.py``), whose
weights are replaced by 40 knobs at plus and minus one standard deviation and 100 flux universes
per true neutrino: float32, every value different. Slices without a neutrino (cosmic-like) have no
weights. Samples: ``nue``, of which 23.5 % survive, and ``nd``, of which 1e-4 do.

Selection, on the first prong of a slice: 0.5 < shower energy < 5 GeV, T theta^2 < 0.005 GeV rad^2
with theta the angle to the NuMI beam, electron score > 0.5, nu-e score > 0.73, electron against
neutral pion score > 0.92. A slice without a prong fails.

Weights, all products and sums in float64: the PPFX central value (1 if above 90), for signal times
the radiative ratio of Sarantakos et al. Signal enters a second time, as template: central value
times the magnetic over the SM cross-section for one Bohr magneton, without radiative ratio.
Variation v multiplies every weight by its factor: the first 80 are knob 0 up, knob 0 down, knob 1
up and so on; then come the 100 universes over the central value (both 1 if above 90); those beyond
180 are universes of a flux table, ``1 + 0.1 sin((c + 1) (u + 1))`` for universe u of the cell c of
flavour (nu_e, its antineutrino, nu_mu, its) and energy (20 cells of 0.5 GeV, the last one open).
1 where there is no neutrino. N variations are the first N of these; the nominal comes before them.
With ``--stored``, all beyond 80 are universes in the file (920 for N = 1000).

Result: float64 sums of weights and of their squares for nominal and N variations, in 6 categories
(signal, magnetic template, nu_e CC, nu_mu CC, NC, cosmic-like), 50 bins of T from 0 to 5 GeV and
50 bins of T theta^2 from 0 to 0.005 GeV rad^2. Those of all contestants must agree in every bin to
1e-9.

The measurement
---------------
Every contestant runs in its own process: once on the same file under another name, to import, to
compile and to have memory, as after the first of many files, then on the file itself, which is
timed: user and system time of all threads, from opening the file to its own kind of histogram.
Rounds rotate through the contestants. Before the clock starts, the fileset is preprocessed (ours),
a first run keeps its rows (ours again), and the positions of the baskets are looked up (codec).
Peak memory is that of the whole process. Files have the baskets of all branches
end together, every 50,000 entries, so that chunks fall on them for every contestant: 100,000
entries with coffea and uproot, our own default with us, clusters with ROOT.

A small file flatters nobody: below 500,000 events fixed costs dominate, and with few events the
baskets of sample ``nd`` that hold a survivor are not all of them. 500,000 events take 0.5 GB per
sample; with ``--stored``, 2 GB more for each.
"""
