"""Reading the tracking stores of others: MLflow's server, its database, its folder of files."""
