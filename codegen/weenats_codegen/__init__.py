"""The code generator of weenats, and its command line."""
