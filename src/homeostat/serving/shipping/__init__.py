"""How a model leaves: images, their bill of materials, manifests for clusters."""
