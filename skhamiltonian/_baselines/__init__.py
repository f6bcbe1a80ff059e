"""Models to compare with: independent sites, and pairs."""
