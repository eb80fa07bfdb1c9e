"""Who is calling: message-level authentication.

It is told by the token in each message; how a connection to NATS is authenticated is another
matter, see `weenats.ConnectionOptions`.
"""
