"""Conversion between bytes and messages: requests, replies, events and errors as JSON.

The envelope of a request is read first, and its payload when a handler or an interceptor asks for
it, so that nothing about it is found out for a caller who is refused. What a contract describes is
read by its type alone if that enforces the schema, otherwise judged by the schema first: see
`parts`. Messages are written by joining the serialized parts with text that was built together with
the codec.
"""
