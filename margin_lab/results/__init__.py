"""What all results share: a short repr, a table, a plot, a data frame, and a file without pickle."""

from margin_lab.results.base import Result, load
from margin_lab.results.batch import Batch

__all__ = ["Batch", "Result", "load"]
