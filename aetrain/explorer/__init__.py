"""A trained model as a page that anyone can open: its networks, what they compute on, and the script that runs them."""
