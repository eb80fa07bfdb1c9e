"""Values that match the schemas of a contract: its examples, else made up."""
