"""Read the stream from elsewhere as a community does, and report delay and rate from outside: `zads probe`."""
