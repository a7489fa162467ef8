"""Run the nudipole command line from a source tree: ``python run.py VERB``."""

from analysis.cli import main

if __name__ == "__main__":
    main()
