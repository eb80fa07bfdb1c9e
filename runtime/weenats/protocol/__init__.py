"""The wire protocol: subjects, headers, identifiers, deadlines and message models."""
