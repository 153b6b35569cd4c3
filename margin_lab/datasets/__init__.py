"""Binary datasets: the PRGD paper's, generators with known answers, and scikit-learn's digits and breast cancer."""

from margin_lab.datasets.cancer import cancer
from margin_lab.datasets.dataset import Dataset
from margin_lab.datasets.digits import digits_pair
from margin_lab.datasets.synthetic import dataset_1, dataset_i, dataset_ii, gaussian, prescribed_support

__all__ = [
    "Dataset",
    "cancer",
    "dataset_1",
    "dataset_i",
    "dataset_ii",
    "digits_pair",
    "gaussian",
    "prescribed_support",
]
