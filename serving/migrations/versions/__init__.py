"""One revision per file; a published one never changes."""
