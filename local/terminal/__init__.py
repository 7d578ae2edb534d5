"""Commands that show a deployed API's answers in a terminal."""
