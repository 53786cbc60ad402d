"""Passes and analyses over graphs."""

from __future__ import annotations
