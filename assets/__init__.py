"""Dagster assets and asset checks, one module a layer: a body reads a window, calls a pure function, writes."""
