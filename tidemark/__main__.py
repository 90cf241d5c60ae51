"""`python -m tidemark`: the command line without its script."""

from tidemark.cli import main

if __name__ == "__main__":
    main()
