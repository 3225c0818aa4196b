"""A trained model as files that other programs read: networks, weights, and a page that says how."""
