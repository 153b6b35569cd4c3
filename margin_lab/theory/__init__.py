"""What single chapters measure with: flows, KKT conditions, lexicographic margins, robustness, Adam's rates."""
