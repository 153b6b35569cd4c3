"""The batched update functions behind the table of methods."""
