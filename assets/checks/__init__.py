"""Asset checks, one module for the assets of a layer."""
