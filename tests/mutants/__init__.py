"""One-line breakages of rules, each of which a test must notice: ``make mutants``."""
