"""Datasets: the PRGD paper's, generators with known answers, scikit-learn's digits and breast cancer, MNIST and CIFAR-10."""

from margin_lab.datasets.cancer import cancer
from margin_lab.datasets.cifar10 import cifar10, cifar10_pair
from margin_lab.datasets.dataset import Dataset
from margin_lab.datasets.digits import digits, digits_pair
from margin_lab.datasets.mnist import mnist, mnist_pair
from margin_lab.datasets.synthetic import dataset_1, dataset_i, dataset_ii, gaussian, prescribed_support
from margin_lab.datasets.teacher import teacher, teacher_weights

__all__ = [
    "Dataset",
    "cancer",
    "cifar10",
    "cifar10_pair",
    "dataset_1",
    "dataset_i",
    "dataset_ii",
    "digits",
    "digits_pair",
    "gaussian",
    "mnist",
    "mnist_pair",
    "prescribed_support",
    "teacher",
    "teacher_weights",
]
