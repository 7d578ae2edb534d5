"""Erasing people, and barring replays of them."""
