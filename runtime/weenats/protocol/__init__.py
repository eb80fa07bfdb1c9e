"""The wire protocol: subjects, headers, messages, identifiers and deadlines."""
