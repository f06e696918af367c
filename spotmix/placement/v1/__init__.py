"""Made from proto/spotmix/placement/v1 by `make proto`."""
