"""Stationmaster: self-hosted OS update management with highly available management stations."""

__version__ = "0.1.0"
