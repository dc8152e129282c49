"""Every flight that left New York City in 2013."""
