"""Conversion between bytes and messages: requests, replies, events and errors as JSON.

A request is validated in one pass by a validator that includes the type of the operation's payload.
Only when the payload alone is invalid is the envelope read a second time, so that interceptors can
check the caller before the violations of the payload are reported. Messages are written by joining
the serialized payload with parts that were built together with the codec.
"""
