"""The only modules that import a vendor's client, with delivery's writer."""
