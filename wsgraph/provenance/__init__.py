"""Which neuron, position or parameter element is where: labels followed through the model."""
