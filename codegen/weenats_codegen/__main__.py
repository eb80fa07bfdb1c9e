"""`python -m weenats_codegen` runs the same command line as `weenats`."""

import sys

from weenats_codegen.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
