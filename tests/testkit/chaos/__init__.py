"""The harness of the chaos, soak and fuzz runs."""
