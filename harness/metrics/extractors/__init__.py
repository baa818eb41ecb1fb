"""Networks that turn images into features: what a Fréchet distance can see."""
