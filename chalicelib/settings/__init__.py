"""Settings: what they are, the document that marketers see, and where they are kept."""
