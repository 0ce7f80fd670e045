"""The command line: parses, calls the public face, prints."""
