"""Margins of models: normalised and smoothed, in a norm of all parameters or layer by layer."""

from margin_lab.margins.layers import layer_margin, log_layer_product, smoothed_layer_margin
from margin_lab.margins.normalized import linear_margin, normalized_margin, smoothed_margin

__all__ = [
    "layer_margin",
    "linear_margin",
    "log_layer_product",
    "normalized_margin",
    "smoothed_layer_margin",
    "smoothed_margin",
]
