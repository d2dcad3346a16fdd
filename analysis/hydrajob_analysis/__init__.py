"""Reads hydrajob stores: `load("results/quickstart.h5")` gives DataFrames; docs/analysis.md describes them."""

from .schema import StoreError
from .store import Store, load

__all__ = ["Store", "StoreError", "load"]
