"""What stands beside our server in the comparison, and how all of them are asked."""
