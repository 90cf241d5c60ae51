"""`python -m venues.fills` compiles every kernel of the fill model once (part of `make install`)."""

import venues.fills  # noqa: F401 - declares the kernels
from contracts.kernel import warm_up

if __name__ == "__main__":
    warm_up()
