"""Control: parameters, actions and snapshots, which host and surfaces share."""
