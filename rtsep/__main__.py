"""`python -m rtsep`."""

from rtsep.cli import main

if __name__ == "__main__":  # processes that are started beside it import it once more
    main()
