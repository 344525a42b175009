"""What an organization offers: the entries of its catalogue, and the catalogue as a whole."""
