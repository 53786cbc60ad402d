"""Tracing without computing."""
