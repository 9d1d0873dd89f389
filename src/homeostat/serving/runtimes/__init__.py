"""The engines that compute predictions, one per file. Each has `run(arrays) -> arrays` and is called by any thread."""
