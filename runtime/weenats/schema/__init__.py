"""Types of message parts, and the JSON Schemas of a contract that validate what models cannot.

Generated code creates both. A part whose model enforces its whole schema is described by the
model class alone. Any other part is described by a `Schema`: its Python type, and its judge (the
validator of its JSON Schema) unless the type enforces the whole schema.
"""

from weenats.schema.judge import JsonSchemas, Judge
from weenats.schema.part import Schema

__all__ = ["JsonSchemas", "Judge", "Schema"]
