"""The comparison as one HTML page: no script, nothing from the network, plots as inline SVG."""
