"""Documents of contracts: an AsyncAPI document, and one HTML page."""
