"""The NATS permissions that a service and its clients need."""
