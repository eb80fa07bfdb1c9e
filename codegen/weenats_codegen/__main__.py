"""`python -m weenats_codegen` is `weenats`."""

import sys

from weenats_codegen.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
