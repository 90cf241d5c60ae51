"""`python -m risk` compiles every kernel of the decision once, so that no later process has to (`make install`)."""

import risk.decision  # noqa: F401 - declares the kernels
from contracts.kernel import warm_up

if __name__ == "__main__":
    warm_up()
