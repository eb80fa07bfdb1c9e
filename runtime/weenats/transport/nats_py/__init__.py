"""nats-py, which connects, authenticates, encrypts, pings and reconnects, and code around it.

This is the only package that imports nats. Messages do not use nats-py, see connection.
"""
