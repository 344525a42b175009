"""How it is spoken: servicers that decode, call and encode, and the one table of errors."""
