"""The network: pure functions and the Flax NNX modules over them."""
