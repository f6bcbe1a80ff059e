"""Draws from a fitted network at any temperature."""
