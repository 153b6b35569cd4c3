"""Long runs, recorded once with their provenance: what a page shows and does not run."""

from margin_lab.book.recordings.recorder import RECORDINGS, Recorded, load, record

__all__ = ["RECORDINGS", "Recorded", "load", "record"]
