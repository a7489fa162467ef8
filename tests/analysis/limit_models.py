"""Small models that several test files share."""

import numpy as np

from analysis.limit import Channel, LimitModel, Parameter, Sample


def counting(observed, background, signal, relative=None, factor=None):
    """Bins with one background; one parameter changes all by a relative amount."""
    background, signal = np.atleast_1d(background).astype(float), np.atleast_1d(signal)
    bins = len(background)
    plain = LimitModel(
        channels=(Channel("nd", bins),),
        samples=(Sample("background"), Sample("magnetic", signal=True)),
        parameters=(),
        nominal=np.array([background, np.broadcast_to(signal, bins)], dtype=float),
        mc_variance=np.zeros((2, bins)),
        up=np.zeros((0, 2, bins)),
        down=np.zeros((0, 2, bins)),
        high=np.ones((0, 2)),
        low=np.ones((0, 2)),
        observed=None if observed is None else np.atleast_1d(observed).astype(float),
    )
    if factor is not None:
        return plain.with_normalisation("rate", factor, ["background"], "lognormal")
    if relative is None:
        return plain
    change = np.zeros((1, 2, bins))
    change[0, 0] = np.broadcast_to(relative, bins) * background
    return LimitModel(
        channels=plain.channels,
        samples=plain.samples,
        parameters=(Parameter("rate"),),
        nominal=plain.nominal,
        mc_variance=plain.mc_variance,
        up=change,
        down=-change,
        high=np.ones((1, 2)),
        low=np.ones((1, 2)),
        observed=plain.observed,
    )


def shapes(bins=40, parameters=5, *, events=300.0, seed=1, signal_systematics=False, mc=0.0):
    """A falling background, a peaked signal, smooth random changes of about 5 %."""
    rng = np.random.default_rng(seed)
    x = np.linspace(0.0, 1.0, bins)
    background = np.exp(-2.0 * x)
    background *= events / background.sum()
    signal = np.exp(-0.5 * ((x - 0.2) / 0.15) ** 2)
    signal *= 0.1 * events / signal.sum()
    phase, waves = rng.uniform(0, 6.28, (parameters, 1)), rng.uniform(1, 6, (parameters, 1))
    relative = 0.05 * rng.uniform(0.3, 1.5, (parameters, 1)) * np.sin(waves * x + phase)
    change = np.zeros((parameters, 2, bins))
    change[:, 0] = relative * background
    if signal_systematics:
        change[:, 1] = relative * signal
    return LimitModel(
        channels=(Channel("nd", bins),),
        samples=(Sample("background"), Sample("magnetic", signal=True)),
        parameters=tuple(Parameter(f"p{i}") for i in range(parameters)),
        nominal=np.array([background, signal]),
        mc_variance=np.array([(mc * background) ** 2, 0.0 * signal]),
        up=change,
        down=-change,
        high=np.ones((parameters, 2)),
        low=np.ones((parameters, 2)),
        observed=rng.poisson(background).astype(float),
    )
