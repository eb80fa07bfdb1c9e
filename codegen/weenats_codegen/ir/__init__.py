"""The intermediate representation (IR) of a contract, which the templates render."""
