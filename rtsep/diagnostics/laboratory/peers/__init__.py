"""What others offer for running the same networks, measured by the same protocol: nothing here plays live."""
