"""Histograms and published rows to numbers and pictures: limits, experiments, report."""
