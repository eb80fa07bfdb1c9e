"""From contract to Python: the generator and the command line of weenats."""
