"""Compiled loops of Gaussian mixtures: functions of arrays."""
