"""The search for values that several formulas hold for at once."""
