"""Conversion between bytes and messages: requests, replies, events and errors as JSON.

A request is validated in one pass by a validator that includes the type of the operation's payload,
unless an interceptor may refuse its caller: then the envelope is validated alone, and the payload
when it is read, so that nothing about it is found out for a caller who is refused. Messages are
written by joining the serialized payload with parts that were built together with the codec.
"""
