"""Margin Lab: why optimizers pick the solutions they pick."""
