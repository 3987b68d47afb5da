"""The base: what every room may use and what knows no model."""
