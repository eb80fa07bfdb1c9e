"""The verbs of the command line: `app` is what a person types, each verb a function beside it."""
