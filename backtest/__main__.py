"""`python -m backtest`: compile the kernels of this room into their cache."""

import backtest.portfolio  # noqa: F401 - it declares them
from contracts.kernel import warm_up

if __name__ == "__main__":
    warm_up()
