"""What there is: links, places of the network, service points, the devices on them."""
