"""Networks that declare their homogeneity, fully connected and convolutional, and the degree of any network, measured."""

from margin_lab.models.activations import ACTIVATIONS, Activation
from margin_lab.models.convolutional import mnist_cnn, vgg16
from margin_lab.models.declared import check_homogeneity, degree_or_none
from margin_lab.models.flat import flat_parameters, model_with, parameter_shapes, starts, unflatten
from margin_lab.models.homogeneity import effective_degree, homogeneity_degree
from margin_lab.models.mlp import MLP
from margin_lab.models.network import Network

__all__ = [
    "ACTIVATIONS",
    "MLP",
    "Activation",
    "Network",
    "check_homogeneity",
    "degree_or_none",
    "effective_degree",
    "flat_parameters",
    "homogeneity_degree",
    "mnist_cnn",
    "model_with",
    "parameter_shapes",
    "starts",
    "unflatten",
    "vgg16",
]
