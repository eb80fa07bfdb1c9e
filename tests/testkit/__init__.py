"""What the tests are built on: servers, peers, doubles, sample services."""
