"""Models to compare with: independent sites, pairs."""
