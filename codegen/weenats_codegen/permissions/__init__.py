"""The permissions of NATS users."""
