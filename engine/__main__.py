"""`python -m engine` compiles every kernel once, so that no later process has to (part of `make install`)."""

from engine import warm_up

if __name__ == "__main__":
    warm_up()
