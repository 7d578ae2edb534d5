"""Journeys: the registry of ids, names and labels, and what marketers say of them."""
