"""What a contract is held against; each check looks at everything and reports all it finds."""
