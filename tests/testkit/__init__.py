"""Helpers of the tests: servers, peers, test doubles and sample services."""
