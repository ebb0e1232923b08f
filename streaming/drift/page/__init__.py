"""The drift report as one HTML page: no script, nothing from the network, plots as inline SVG."""
