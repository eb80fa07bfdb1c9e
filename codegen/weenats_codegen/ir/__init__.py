"""The intermediate representation of a contract, which the templates render."""
