"""The demo: the sample contract, served and called."""
