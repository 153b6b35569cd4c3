"""Margins of a network while it trains, in anyone's loop."""

from margin_lab.margins.tracking.tracker import Tracked, Tracker, track

__all__ = ["Tracked", "Tracker", "track"]
